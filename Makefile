# Everything that is set up is kept in .venv/ and build/; once there, `run`, `test` and `lint` use no network.
PYTHON ?= python3
BROKER ?= amqtt
JOBS ?= 4

# What is said on the command line is taken as it is said: the $ in a Wi-Fi's name is no variable of make.
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),\
	$(eval override $(name) := $$(value $(name)))$(eval export $(name))))
# Another Python's modules would be taken for installed ones.
unexport PYTHONPATH PYTHONHOME

# The variable $1 as one word for the shell: quotes, blanks and back-quotes are letters.
quoted = '$(subst ','\'',$(value $1))'
# The option $1, where the variable $2 says something.
option = $(if $(value $2),$1=$(call quoted,$2))
# For what needs a board: its name, or a word about which there are.
board = $(if $(value BOARD),$(call quoted,BOARD),$(error Say BOARD=, one of: $(sort $(notdir $(wildcard boards/esp32*)))))
# ERASE=0 or ERASE=no must not take a node's Readings away.
erase = $(if $(filter-out 1,$(value ERASE)),$(error Say ERASE=1, or nothing),$(if $(value ERASE),--erase))

# A mistyped broker is refused before anything is fetched. (That of `make wokwi` is a host.)
ifneq ($(filter test,$(MAKECMDGOALS)),)
ifneq ($(value BROKER),amqtt)
ifneq ($(value BROKER),mosquitto)
$(if $(value BROKER),$(error $(value BROKER) is no broker of the tests. Say BROKER=, one of: amqtt mosquitto))
endif
endif
endif

.DEFAULT_GOAL := help
.PHONY: help run image flash deploy test-board wokwi test test-versions chaos cluster homeassistant fuzz day pictures bench docs lint lock wheel sbom setup venv clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: venv ## Run the node against the embedded broker: a live view until Ctrl-C, or SECONDS=20; SENSORS=dht22,ds18b20:outdoor
	@.venv/bin/limpet run $(call option,--seconds,SECONDS) $(call option,--sensors,SENSORS)

image: venv ## Make what goes onto a board: BOARD=esp32_devkit DEVICE=node-1 FLEET=folder FIRMWARE=some.bin FLASH=8
	@.venv/bin/limpet image $(board) $(call option,--device,DEVICE) $(call option,--firmware,FIRMWARE) \
		$(call option,--flash,FLASH) $(call option,--fleet,FLEET)

flash: venv ## Put it onto the board that is plugged in: BOARD=esp32_devkit PORT=/dev/ttyUSB0 ERASE=1
	@.venv/bin/limpet flash $(board) $(call option,--port,PORT) $(call option,--baud,BAUD) \
		$(call option,--fleet,FLEET) $(erase)

test-board: venv ## Try all of it on a board: BOARD= PORT= BROKER_HOST=this.machine WIFI_SSID= LOOK=3600 JSON=file, WIFI_PASSWORD in the environment
	@.venv/bin/limpet test-board $(board) $(call option,--port,PORT) $(call option,--broker-host,BROKER_HOST) \
		$(call option,--wifi-ssid,WIFI_SSID) $(call option,--listen,LISTEN) \
		$(call option,--patience,PATIENCE) $(call option,--look,LOOK) $(call option,--json,JSON) \
		$(call option,--fleet,FLEET)

deploy: venv ## Copy what is new onto a board, and watch it start: BOARD=esp32_devkit PORT=/dev/ttyUSB0 DEVICE=node-1
	@.venv/bin/limpet deploy $(board) $(call option,--port,PORT) $(call option,--device,DEVICE) \
		$(call option,--fleet,FLEET)

wokwi: venv ## Make the image for the simulator Wokwi: BOARD=esp32_devkit BROKER=broker.example FIRMWARE=some.bin
	@.venv/bin/limpet wokwi $(board) $(if $(filter-out amqtt mosquitto,$(value BROKER)),$(call option,--broker,BROKER)) \
		$(call option,--firmware,FIRMWARE) $(call option,--fleet,FLEET)

test: setup ## Run the tests: ARGS="-k will" for some, BROKER=mosquitto for the other broker, BUSY=1 with busy cores
	@PYTHONUTF8=1 BROKER=$(call quoted,BROKER) $(if $(value BUSY),.venv/bin/python host_tests/busy.py) .venv/bin/pytest -n $(call quoted,JOBS) --dist worksteal $(value ARGS)

test-versions: setup ## Run the node's tests on each MicroPython that can be had: VERSIONS="1.26 1.29" for some of them
	@REFUSALS=full .venv/bin/python host_tests/versions.py $(call quoted,VERSIONS)

chaos: setup ## Do 1,000 faults to a node, and count: SEED=1 FAULTS=100 BROKER=mosquitto
	@BROKER=$(call quoted,BROKER) .venv/bin/python host_tests/chaos.py $(call option,--broker,BROKER) $(call option,--seed,SEED) \
		$(call option,--faults,FAULTS)

cluster: setup ## Publish through three brokers that die and come back in turn: CLUSTER=rabbitmq|nats SECONDS=300 NODES=20 BROKERS=haproxy|list
	@.venv/bin/python host_tests/cluster.py $(call option,--cluster,CLUSTER) $(call option,--seconds,SECONDS) \
		$(call option,--nodes,NODES) $(call option,--brokers,BROKERS)

homeassistant: setup ## Have Home Assistant itself find a node and command it: once 520 MB below build/, then a minute; BROKER=mosquitto
	@PYTHONUTF8=1 BROKER=$(call quoted,BROKER) .venv/bin/python host_tests/home_assistant.py $(value ARGS)

fuzz: setup ## Feed each parser 100,000 hostile inputs, and publish for a week: five minutes
	@PYTHONUTF8=1 FUZZ=full .venv/bin/pytest -n $(call quoted,JOBS) --dist worksteal \
		-o timeout=1800 -o faulthandler_timeout=1200 host_tests/unix/test_fuzz.py host_tests/unix/test_window.py

day: setup ## Take a day's Readings through a small heap, with an outage every 60: four minutes
	@PYTHONUTF8=1 DAY=full .venv/bin/pytest -n 2 -rP -o timeout=1800 -o faulthandler_timeout=1200 host_tests/systems/node/test_memory.py

pictures: setup ## Take the pictures of the page that the docs show, in a real browser: four minutes
	@.venv/bin/pytest -q --pictures host_tests/tools/page/test_looks.py host_tests/tools/running/test_seen_levers.py -k "trouble or pictures"

bench: setup ## Measure speed, bytes, heap and instructions beside umqtt's: five minutes; AGAINST=v0.1 compares
	@.venv/bin/limpet bench $(call option,--against,AGAINST)

docs: venv ## Make docs/reference from the code, and all docs as a site in build/docs; check links and command lines
	@.venv/bin/python tools/docs/reference.py
	@PYTHONUTF8=1 .venv/bin/pytest -q host_tests/house/test_docs.py
	@.venv/bin/python tools/docs/site.py

lint: venv ## Check style, format, types and who imports whom
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache --no-logo

lock: ## Write requirements.lock again from pyproject.toml (needs the network)
	@$(call quoted,PYTHON) tools/bootstrap.py lock

wheel: venv ## Make the wheel and the source archive of limpet, in dist/
	@.venv/bin/hatchling build -d dist

sbom: venv ## Write what Limpet is made of into dist/ (an SBOM in CycloneDX); SOURCE_DATE_EPOCH is its date
	@.venv/bin/python tools/sbom/bill.py

setup: venv ## Set up all that run and test need, for a time without a network
	@.venv/bin/limpet setup $(if $(filter mosquitto,$(value BROKER)),--mosquitto)

clean: ## Remove what was set up and can be had again; fleets, keys and images stay
	@$(call quoted,PYTHON) tools/bootstrap.py clean

venv:
	@command -v $(call quoted,PYTHON) >/dev/null || { echo "limpet: There is no" $(call quoted,PYTHON) "here." \
		"Install Python 3.11 or later: apt install python3 python3-venv"; exit 1; }
	@$(call quoted,PYTHON) tools/bootstrap.py
