admins = { }
run_as_root = true
daemonize = false
pidfile = "{{.Dir}}/prosody.pid"
data_path = "{{.Dir}}/data"
modules_enabled = { "disco"; "roster"; "saslauth"; "tls"; "ping"; "register"; "register_ibr"; "posix"; "smacks"; "offline"; "bosh"; "websocket"; "blocklist"; "private"; "vcard_legacy"; }
modules_disabled = { "s2s" }
interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
c2s_ports = { {{.C2S}} }
c2s_direct_tls_ports = { }
http_ports = { {{.HTTP}} }
http_interfaces = { "127.0.0.1" }
https_ports = { {{.HTTPS}} }
https_interfaces = { "127.0.0.1" }
http_host = "localhost"
http_default_host = "localhost"
http_paths = { bosh = "/bosh"; websocket = "/ws" }
consider_bosh_secure = true
consider_websocket_secure = true
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
allow_registration = true
registration_invite_only = false
use_ipv6 = false
ssl = { key = "{{.Cert}}", certificate = "{{.Cert}}" }
log = { info = "{{.Dir}}/log" }
VirtualHost "localhost"
