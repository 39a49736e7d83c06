admins = { }
run_as_root = true
daemonize = false
pidfile = "{{.Dir}}/prosody.pid"
data_path = "{{.Dir}}/data"
modules_enabled = { "disco"; "roster"; "saslauth"; "tls"; "ping"; "register"; "register_ibr"; "posix";{{if .Managed}} "smacks";{{end}} }
modules_disabled = { "s2s";{{if not .Stored}} "offline";{{end}} }
interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
c2s_ports = { {{.Port}} }
c2s_direct_tls_ports = { }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
network_backend = "epoll"
network_settings = { tcp_backlog = 4096 }
authentication = "internal_hashed"
default_iteration_count = 4096 -- as the others, so that SCRAM costs the same
storage = "internal"
allow_registration = true
registration_invite_only = false
log = { warn = "{{.Dir}}/log" }
ssl = { key = "{{.Cert}}", certificate = "{{.Cert}}" }

VirtualHost "localhost"
