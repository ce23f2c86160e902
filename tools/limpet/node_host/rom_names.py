"""Names that MicroPython has in its ROM: on a chip they cost no heap.

A module that brings a name of its own pays for its letters, and for an entry in a table that
doubles. One that the interpreter has already costs neither. So short_names.py takes them for names
of ours.

Both lists were taken from the type stubs of the ESP32's MicroPython 1.24, 1.25, 1.27 and 1.29, and
from the names in the unix port's 1.25, asyncio's among them, which both have frozen. One too many
in FREE costs heap where a version lacks it; one too few in THEIRS could give a method of the chip's
another name.
"""

# What all of them have: first what a .mpy file names by a number, then the shortest. Left out is
# what the interpreter looks up in objects of ours: in a stream, a file system, a generator.
_FREE = """
abs all any chr dir map ord pop pow sum zip copy eval exec hash keys repr sort clear count index
items lower rfind round split strip upper append divmod extend format insert locals lstrip
remove rindex rsplit rstrip sorted update values getattr globals hasattr isalpha isdigit islower
isspace isupper popitem replace reverse setattr EOFError Ellipsis callable endswith to_bytes
NameError IndexError SystemExit from_bytes isinstance issubclass setdefault startswith
LookupError SyntaxError classmethod RuntimeError GeneratorExit OverflowError StopIteration
on pi EIO GET GS8 INT PTR PUT RAW add aes bin cos erf exp hex inf max md5 min nan oct off ps1
ps2 sep sin sub tan tau AUTO GZIP HEAD INT8 LONG Lock Loop Task UINT VOID ZLIB acos argv asin
atan auth bind blit ceil cosh deps dump erfc fabs fill fmod idle imag line lock log2 loop mem8
mkfs mode modf pack poly post real rect seed sha1 sinh sqrt tanh text urls ARRAY EBADF Event
INT16 INT32 INT64 MVLSB PATCH SHORT UINT8 ULONG acosh asinh atan2 atanh chdir crc32 drain expm1
float floor frexp gamma group hline ipoll isinf isnan ldexp log10 match mem16 mem32 mkdir patch
phase pixel polar rmdir slice stdin trunc union vline BFINT8 BF_LEN BF_POS DELETE EACCES EAGAIN
EEXIST EINVAL EISDIR ENODEV ENOENT ENOMEM FileIO IOBase NATIVE POLLIN RGB565 RingIO Server
Signal Stream UINT16 UINT32 UINT64 USHORT VfsFat accept aclose awrite buffer center choice
cipher decode delete digest enable encode filter gather getcwd getter gmtime hashes is_set
latest lgamma listen locked mktime modify ph_key rename scroll search sendto setter sha256
sizeof stderr stdout unpack waiter BFINT16 BFINT32 BFUINT8 BytesIO ENOBUFS FLOAT32 FLOAT64
IOQueue POLLERR POLLHUP POLLOUT VfsLfs2 acquire chunked closure collect complex content decrypt
degrees delattr deleter disable discard ellipse encrypt heapify heappop hexlify install isclose
maxsize modules popleft radians randint release request sendall statvfs time_ns timeout uniform
version AF_INET6 BFUINT16 BFUINT32 EALREADY ENOTCONN GS2_HMSB GS4_HMSB KeyError LONGLONG
LockType NoneType SOCK_RAW StringIO bytes_at calcsize copysign cur_task exc_info execfile
fromkeys function getvalue heappush ilistdir isfinite issubset iterator kbd_intr libc_ver
mem_free mem_info platform recvfrom register reversed schedule sleep_ms sleep_us ticks_ms
ticks_us wait_for CERT_NONE DeflateIO ETIMEDOUT MONO_HLSB MONO_HMSB MONO_VLSB TaskQueue
TypeError ULONGLONG addressof awritestr byteorder dict_view enumerate errorcode factorial
fill_rect frozenset generator get_ident heap_lock isenabled localtime main_task mem_alloc
opt_level pack_into partition qstr_info randrange stack_use threshold ticks_add ticks_cpu
unhexlify websocket BIG_ENDIAN EADDRINUSE ECONNRESET EOPNOTSUPP SOCK_DGRAM SOL_SOCKET SSLContext
a2b_base64 appendleft b2a_base64 difference isdisjoint issuperset queue_read rpartition
separators setsockopt settimeout short_hash soft_reset splitlines stack_size ticks_diff
unregister EINPROGRESS FrameBuffer OrderedDict SOCK_STREAM create_task get_ciphers getaddrinfo
getpeercert getrandbits heap_unlock queue_write readexactly run_forever server_side set_ciphers
setblocking status_code unpack_from verify_mode wait_closed wait_for_ms wrap_socket ECONNABORTED
ECONNREFUSED EHOSTUNREACH FrameBuffer1 SO_BROADCAST SO_REUSEADDR StreamReader StreamWriter
UnicodeError bound_method bytearray_at current_task intersection start_server version_info
Authorization CERT_OPTIONAL CERT_REQUIRED LITTLE_ENDIAN TextIOWrapper allocate_lock
parse_headers stream_awrite time_pulse_us wait_io_event AssertionError AttributeError
CancelledError NotImplemented ThreadSafeFlag get_event_loop get_extra_info implementation
new_event_loop ArithmeticError MBEDTLS_VERSION load_cert_chain open_connection print_exception
verify_callback IndentationError package_json_url start_new_thread KeyboardInterrupt
ZeroDivisionError difference_update return_exceptions SingletonGenerator StopAsyncIteration
run_until_complete NotImplementedError PROTOCOL_TLS_CLIENT PROTOCOL_TLS_SERVER
intersection_update symmetric_difference get_exception_handler load_verify_locations
set_exception_handler call_exception_handler default_exception_handler
symmetric_difference_update
"""
FREE = tuple(_FREE.split())

# What any of them has besides: attributes of what is not ours.
_THEIRS = """
ADC ADCBlock ADCWiPy ADDR_LEN AF_INET AF_UNIX AIOESPNow ALARM0 ALT ALT_OPEN_DRAIN ANALOG APA106
AP_IF ATTN_0DB ATTN_11DB ATTN_2_5DB ATTN_6DB AUTH_CHAP AUTH_MAX AUTH_NONE AUTH_OPEN AUTH_OWE
AUTH_PAP AUTH_WAPI_PSK AUTH_WEP AUTH_WPA2_ENTERPRISE AUTH_WPA2_PSK AUTH_WPA2_WPA3_PSK
AUTH_WPA3_ENT_192 AUTH_WPA3_EXT_PSK AUTH_WPA3_EXT_PSK_MIXED_MODE AUTH_WPA3_PSK AUTH_WPA_PSK
AUTH_WPA_WPA2_PSK AbstractBlockDev AbstractNIC B1000000 B115200 B1152000 B230400 B460800 B500000
B57600 B576000 B921600 B9600 BANDWIDTH_160 BANDWIDTH_20 BANDWIDTH_40 BANDWIDTH_80
BANDWIDTH_80_80 BLE BOOT BaseException BodyStream CLEAR CONFIG CONTROLLER CORE_TEMP CORE_VBAT
CORE_VREF CTS Connection Const_T Counter DAC DEBUG DECREMENT DEEPSLEEP DEEPSLEEP_RESET DELAY
DESC DHT11 DHT22 DHTBase DOWN DRIVE_0 DRIVE_1 DRIVE_2 DRIVE_3 DS18X20 Done ENOTSUP EPERM ESPNow
ESPNowBase ETH_CONNECTED ETH_DISCONNECTED ETH_GOT_IP ETH_INITIALIZED ETH_STARTED ETH_STOPPED
EXT0_WAKE EXT1_WAKE Encoder Error Exception FALLING FLAG_INDICATE FLAG_NOTIFY FLAG_READ
FLAG_WRITE FLAG_WRITE_NO_RESPONSE HARD_RESET HEAP_DATA HEAP_EXEC HOLD Host I2C I2S IDLE ID_T
IF_AP IF_STA IGNORE INCL INCREMENT INV_CTS INV_RTS INV_RX INV_TX IPPROTO_IP IPPROTO_SEC
IPPROTO_TCP IPPROTO_UDP IP_ADD_MEMBERSHIP IRQ_BREAK IRQ_FALLING IRQ_HIGH_LEVEL IRQ_INDEX
IRQ_LOW_LEVEL IRQ_MATCH IRQ_MAX IRQ_MIN IRQ_RESET IRQ_RISING IRQ_ROLL_OVER IRQ_ROLL_UNDER IRQ_RX
IRQ_RXIDLE IRQ_THRESHOLD0 IRQ_THRESHOLD1 IRQ_TXIDLE IRQ_ZERO ImportError KEY_LEN LAN LOG_DEBUG
LOG_ERROR LOG_INFO LOG_NONE LOG_VERBOSE LOG_WARNING LSB MATCH_ROM MAX_DATA_LEN
MAX_ENCRYPT_PEER_NUM MAX_TOTAL_PEER_NUM MODE_11B MODE_11G MODE_11N MODE_CBC MODE_CTR MODE_ECB
MODE_LR MONO MQTTClient MQTTException MSB MSG_DONTROUTE MSG_DONTWAIT MSG_PEEK Man MemoryError
NORMAL NVS NeoPixel None ONE_SHOT OPEN_DRAIN ORDER OSError OUT OneWire OneWireError PCNT
PERIODIC PHY_DM9051 PHY_DP83848 PHY_GENERIC PHY_IP101 PHY_KSZ8041 PHY_KSZ8081 PHY_KSZ8851SNL
PHY_LAN8670 PHY_LAN8710 PHY_LAN8720 PHY_RTL8201 PHY_W5500 PIN_WAKE PM_NONE PM_PERFORMANCE
PM_POWERSAVE POST PPP PROTOCOL_DEFAULT PROTOCOL_DEFAULTS PROTOCOL_DTLS_CLIENT
PROTOCOL_DTLS_SERVER PROTOCOL_LR PULL_DOWN PULL_HOLD PULL_UP PULSE_MAX PWD PWM PWRON_RESET
Partition Pin PinBase PinLike RATE_11M RATE_12M RATE_1M RATE_24M RATE_2M RATE_54M RATE_5M
RATE_6M RATE_LORA_250K RATE_LORA_500K RESERVE_MEM REVERSE RISING RMT RTC RTC_WAKE RTS RUNNING
Response SDCard SEARCH_ROM SEC_CHAP SEC_DPP SEC_NONE SEC_OPEN SEC_OWE SEC_PAP SEC_WAPI SEC_WEP
SEC_WPA SEC_WPA2 SEC_WPA2_ENT SEC_WPA2_WPA3 SEC_WPA2_WPA3_ENT SEC_WPA3 SEC_WPA3_ENT
SEC_WPA3_ENT_192 SEC_WPA3_EXT_PSK SEC_WPA3_EXT_PSK_MIXED_MODE SEC_WPA_ENT SEC_WPA_WPA2 SKIP_ROM
SLEEP SLEEP_LIGHT SLEEP_MODEM SLEEP_NONE SOFT_RESET SO_BINDTODEVICE SO_ERROR SO_KEEPALIVE
SO_LINGER SPI SSLSocket STAT_ASSOC_FAIL STAT_BEACON_TIMEOUT STAT_CONNECTING STAT_CONNECT_FAIL
STAT_GOT_IP STAT_HANDSHAKE_TIMEOUT STAT_IDLE STAT_NO_AP_FOUND
STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD
STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY STAT_WRONG_PASSWORD STA_IF STEREO Socket SoftI2C SoftSPI
TCP_NODELAY TCSANOW TIMER_WAKE TOUCHPAD_WAKE TYPE_APP TYPE_DATA TimeoutError Timer TouchPad UART
ULP ULP_WAKE UUID VREF ValueError VfsLfs1 VfsPosix VfsRom ViperTypeError WAKEUP_ALL_LOW
WAKEUP_ANY_HIGH WAKE_HIGH WAKE_LOW WDT WDT_RESET WIDTH_10BIT WIDTH_11BIT WIDTH_12BIT WIDTH_13BIT
WIDTH_9BIT WLAN WLANWiPy WLAN_WAKE abs_tol accept_conn accept_handler ack_n ack_op action active
add_peer addr addr_type address addrsize adv_data airecv alarm alloc_emergency_exception_buf
allowed_mip_url_prefixes alt amount antenna arecv arg args array as_bytearray ascii asend
asm_thumb asm_xtensa asyncio atexit attempts atten attr backlog base baudrate bdev binascii bits
bitstream bitstream_channel bitstream_rmt block block_dev block_num block_size board bool
boolean bpp branch bssid buf buffer_size buffering bufsize builtins byte_offset bytearray
bytecode bytes cachesize cadata cafile callback cancel capabilities cat cert cert_reqs certfile
cfun change_daemon channel check_bootsec check_msg choices clean_session client_id client_s
clock clock_div close cls cmath cmd code collections commit compile config config_parameters
configtuple conn_handle connect connectable const context convert_temp coords core coro country
crc8 cryptolib csi_available csi_disable csi_dropped csi_enable csi_read cts data datetime
datetimetuple deepsleep default deflate deinit del_peer delay delta deque descriptor dest
dht_readinto dict diff disable_irq disconnect do_handshake do_handshake_on_connect doc done
drive dumps dupterm dupterm_notify duration duration_ms duty duty_ns duty_u16 enable_irq
enable_loop encoding end end_handle entry_point env erase_key errno event eventmask exc exc_tb
exc_type exc_val exception executable exists exit expr fbuf feed ffi fficallback ffifunc ffimod
ffivar file fileno filter_ns find firstbit flag flags flash_erase flash_read flash_size
flash_user_start flash_write flow flush fmt fname framebuf freq fromhex fs_corrupted fsobj func
funcs future gap_advertise gap_connect gap_disconnect gap_pair gap_passkey gap_scan
gattc_discover_characteristics gattc_discover_descriptors gattc_discover_services
gattc_exchange_mtu gattc_read gattc_write gatts_indicate gatts_notify gatts_read
gatts_register_services gatts_set_buffer gatts_write get get_blob get_daemon_status get_i32
get_next_update get_peer get_peers getenv getpass gpio_deep_sleep_hold gpio_matrix_in
gpio_matrix_out handler hard hashlib head headers heap heapq height help hidden host hostname
humidity ibuf idf_heap_info idle_level idx ifconfig ifidx in_buf in_reconnect indices inet_ntop
inet_pton info init input input_choice input_pass int interface_id interval_us invert ioctl
ip_mask_gateway_dns ipconfig irecv irq is_active isconnected item iter iterable jclass jmethod
jni jobject join json keepalive keepends key keyfile kwargs l_rom label layout_type len length
length_or_buffer level lightsleep list listdir listen_s listen_sock little lmk load load_addr
load_binary loads local_time log lookahead loop_count lw_msg lw_qos lw_retain lw_topic mac
machine main makefile man mark_app_valid_cancel_rollback math max_conn_interval_us mck measure
mem mem_backup mem_current mem_peak mem_total memaddr memory memoryview message method
micropython min_conn_interval_us minkeypage miso mod_peer module mosi mount mount_point mpy msg
mtime nack name namedtuple namespace native nbytes new_path newfile newline next num_symbols obj
obj_in object offset old_path onewire open optname osdebug out_buf package pagesize palette
pallet param parity passkey password path pcnt peek peer peer_addr peer_count peername
peers_table pend_throw period period_index period_us phase_a phase_b phases phi phy_addr
phy_mode phy_type pid pin pin_obj ping pins pkt pmk polarity poll poller port print priority
program_binary progsize prompt property proto pswd ptr ptr16 ptr32 ptr8 publish pull pulse_level
push put putenv pwd python_compiler qos random range rate raw raw_temperature read read_buf
read_scratch read_temp read_u16 read_uv readbit readblocks readbyte readfrom readfrom_into
readfrom_mem readfrom_mem_into readinto readline readlines readonly readsize reason reconnect
reconnects recursive recv recv_into recvinto ref_clk_mode region rel_tol remaining repeat req
requesting requests required reset reset_cause resolution_hz resp_data result retain retval
rlist rom rom_ioctl rts run runq_len rxbuf sample_ns scan scan_duration_ms sck scl sda seconds
secs sector_no security seek select select_rom self send send_html send_update sendbreak
sequence server server_handshake server_hostname service_id services_definition set set_blob
set_boot set_callback set_i32 set_last_will set_native_code_location set_pmk set_wakeup_period
setraw settime settrace setup setup_conn sgen shift single size sleep sleep_type slot sock
sockaddr socket source source_freq src ssid ssl ssl_params start start_foreground start_handle
stat state static_host staticmethod stats status step stop str stream stream_object stride
struct subscribe subtype super sync sys system target task tcgetattr tcsetattr tell temperature
termios throw tick_hz ticks ticks1 ticks2 time time_ms timeout_char timeout_ms timeout_us timing
tls toggle topic tracefunc trigger tuple tx_carrier txbuf txdone txpower typ type uart_no
uctypes uint umount uname unique_id unit_id unlink unsetenv unsubscribe urandom url user usys
uuid val value value_handle var vector verbose vfs viper wait wait_done wait_msg waiting
waitq_len wake wake_on_ext0 wake_on_ext1 wake_on_gpio wake_on_touch wake_on_ulp wake_pins
wake_reason wbits width window_us wlist write write_buf write_pulses write_readinto
write_scratch writebit writeblocks writebyte writeto writeto_mem writevto xlist xstep ystep
"""
THEIRS = frozenset(_THEIRS.split())
