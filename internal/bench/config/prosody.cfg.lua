admins = { }
run_as_root = true
daemonize = false
pidfile = "{{.Dir}}/prosody.pid"
data_path = "{{.Dir}}/data"
modules_enabled = { "disco"; "roster"; "saslauth"; "tls"; "ping"; "register"; "register_ibr"; "posix";{{if .Managed}} "smacks";{{end}}{{if .Servers}} "dialback";{{end}}{{if .HTTP}} "bosh"; "websocket";{{end}} }
modules_disabled = { {{if not .Servers}}"s2s";{{end}}{{if not .Stored}} "offline";{{end}} }
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
ssl = { key = "{{.Cert}}", certificate = "{{.Cert}}"{{if .Servers}}, cafile = "{{.CA}}"{{end}} }
{{- if .Component}}
component_ports = { {{.Second}} }
component_interfaces = { "127.0.0.1" }
{{- end}}
{{- if .HTTP}}
http_ports = { {{.Second}} }
http_interfaces = { "127.0.0.1" }
https_ports = { }
consider_bosh_secure = true
consider_websocket_secure = true
{{- end}}
{{- if .Servers}}
s2s_ports = { {{.Second}} }
s2s_direct_tls_ports = { }
s2s_require_encryption = true
s2s_secure_auth = false
use_ipv6 = false
unbound = { resolvconf = false, hoststxt = false, forward = "127.0.0.1@{{.Names}}", options = { ["do-not-query-localhost:"] = "no" } } -- of the package lua-unbound
{{- end}}

VirtualHost "{{.Domain}}"
{{- if .Component}}

Component "{{.ComponentDomain}}"
	component_secret = "{{.ComponentSecret}}"
{{- end}}
