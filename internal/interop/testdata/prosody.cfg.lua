admins = { }
run_as_root = true
daemonize = false
pidfile = "{{.Dir}}/prosody.pid"
data_path = "{{.Dir}}/data"
modules_enabled = { "disco"; "roster"; "saslauth"; "tls"; "ping"; "version"; "register"; "register_ibr"; "posix"; }
interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
c2s_ports = { {{.C2S}} }
c2s_direct_tls_ports = { }
s2s_ports = { {{.S2S}} }
s2s_direct_tls_ports = { {{.TLS}} }
c2s_require_encryption = false
s2s_require_encryption = false
s2s_secure_auth = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
allow_registration = true
registration_invite_only = false
use_ipv6 = false
smacks_max_queue_size = 20000
log = { {{.LogLevel}} = "{{.Dir}}/log" }
unbound = {
	resolvconf = false;
	forward = { "{{.DNSHost}}@{{.DNSPort}}" };
	options = { ["do-not-query-localhost:"] = "no"; ["local-zone:"] = "test. transparent"; ["cache-max-ttl:"] = "0"; ["cache-max-negative-ttl:"] = "0"; ["infra-host-ttl:"] = "0"; };
}
certificates = "{{.Certs}}"
s2s_ssl = { cafile = "{{.CA}}"; }
s2s_direct_tls_ssl = { cafile = "{{.CA}}"; }
{{range .Hosts}}
VirtualHost "{{.Domain}}"
	modules_enabled = { {{if .Dialback}}"dialback"; {{end}}{{if .Bidi}}"s2s_bidi"; {{end}}{{if .Managed}}"smacks"; {{end}} }
	s2s_require_encryption = {{eq .UseStartTLS "required"}}
	{{- if not .Cert}}
	modules_disabled = { "tls" }
	{{- end}}
{{end}}
