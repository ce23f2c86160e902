"""What a node says on its console: a line taken apart, and its words in ours.

Pure. A line that is not the log's is left as it is.
"""

import re
from typing import NamedTuple

_LINE = re.compile(r"(\d+\.\d{3}) (\w+) (.*)")
_WORD = re.compile(r"(\w+)=(\S+)")

# What a person has to mend comes with what to do; what passes by itself says so.
CAUSES = {
    "no-ssid": "The config has no Wi-Fi: limpet provision ID --wifi-ssid NAME, and deploy again.",
    "no-ap": "No access point of that name is in reach (2.4 GHz only): check wifi_ssid.",
    "wrong-password": "The access point refuses the password: check wifi_password.",
    "security": "The access point asks for a security that this chip has not: WPA2 will do.",
    "timeout": "The access point does not let the node in within 20 s: check the signal.",
    "driver": "The Wi-Fi driver fails: take the power away and give it back.",
    "dns": "The broker's name cannot be looked up: check `broker` in the config, and the network's "
    "DNS.",
    "tcp-refused": "The broker's machine refuses: check `broker` and `port`, and that the broker "
    "runs and listens beyond its own machine.",
    "tcp-timeout": "The broker's machine does not answer: check `broker`, and firewalls.",
    "tcp-unreachable": "There is no way to the broker's machine: check `broker`, and the network.",
    "tls-plaintext": "The broker speaks no TLS on that port: check `port`.",
    "tls-closed": "The broker ends the TLS handshake: see its log.",
    "tls-timeout": "The TLS handshake takes too long: check the signal.",
    "tls-refused": "The broker refuses the node's certificate: provision it from the broker's CA.",
    "tls-broken": "What came was no TLS that the node can read; it connects again.",
    "certificate": "The broker's certificate cannot be verified: check the broker's set-up.",
    "certificate-untrusted": "The broker's certificate is of another CA than the node's.",
    "certificate-expired": "The broker's certificate has expired: make it a new one.",
    "certificate-not-yet-valid": "The broker's certificate is not valid yet: check both clocks.",
    "certificate-name": "The broker's certificate is for another name: check `broker` and "
    "`server_hostname`.",
    "protocol": "What answers is no MQTT broker: check `port`.",
    "protocol-version": "The broker does not speak MQTT 3.1.1.",
    "client-id": "The broker refuses the device's id.",
    "credentials": "The broker refuses username or password.",
    "not-authorized": "The broker does not know the device: register it there.",
    "unavailable": "The broker says that it is not available now.",
    "connack-timeout": "The broker took the connection and says nothing: see its log.",
    "client-id-taken": "Another node uses the same device id: one of them needs another.",
    "not-authorized-here": "The broker takes what the node says and passes nothing on: its rules "
    "for topics (acl) do not know the device. Readings wait; `hold_unheard` in the config.",
    "retain-refused": 'The broker keeps no retained Messages: "retain": false in the config.',
    "qos-refused": 'The broker takes QoS 0 only: "max_qos": 0 in the config may lose Readings.',
    "too-long": "The way to the broker carries no packets of that size: the node goes on with "
    "smaller ones. Its limit is `payload_max` in the config.",
    "undeliverable": "Something ends the connection whenever it is sent: the node goes on without.",
    "memory": "The node has too little memory for TLS; it resets itself.",
}
# What passes by itself: nobody at a console has to be told what to do.
PASSING = {
    "starting": "Wi-Fi is being joined.",
    "rejoining": "Wi-Fi is joined anew, as nothing in it has answered for ten minutes or more.",
    "lost": "Wi-Fi was lost; it is joined again.",
    "closed": "The broker, or something on the way to it, has closed the connection.",
    "ping-timeout": "The broker has not answered a ping in time.",
    "puback-timeout": "The broker has not acknowledged a Message in time.",
    "suback-timeout": "The broker has not acknowledged a subscription, or its end, in time.",
    "subscription-lost": "The node's own status does not come back to it, so the broker may have "
    "lost its subscriptions: it connects anew.",
}
# Waiting helps against none of these.
FINAL = (
    *("no-ssid", "wrong-password", "security", "tls-refused", "protocol-version", "client-id"),
    *("credentials", "not-authorized", "certificate", "certificate-untrusted"),
    *("certificate-expired", "certificate-name", "retain-refused", "qos-refused"),
)


class Said(NamedTuple):
    """A line: seconds since boot and area, both empty when it is not the log's, and the text."""

    at: str
    area: str
    text: str

    @property
    def words(self) -> dict[str, str]:
        """The text's `key=value`."""
        return dict(_WORD.findall(self.text)) if self.area else {}

    @property
    def cause(self) -> str | None:
        """Why there is no connection, when it says that."""
        down = self.area in ("link", "wifi") and self.text.startswith(("down ", "not joined "))
        return self.words.get("cause") if down else None

    @property
    def up(self) -> bool:
        """Whether it says that the broker has let the node in."""
        return self.area == "link" and self.text.startswith("up ")


def parse(line: str) -> Said:
    """Take a line apart."""
    match = _LINE.fullmatch(line)
    return Said(match[1], match[2], match[3]) if match else Said("", "", line)
