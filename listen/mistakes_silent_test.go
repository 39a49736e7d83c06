package listen

import (
	"strings"
	"testing"
)

// TestNothingIsIgnored has options that would be without effect if nobody said
// so.
func TestNothingIsIgnored(t *testing.T) {
	mistakes(t, []mistake{
		{"TLS options without a certificate", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: ejabberd_c2s, starttls: yes, tls_compression: true}
			  - {port: 2, module: ejabberd_c2s, starttls_required: on, cafile: gone.pem}
			  - {port: 3, module: ejabberd_c2s, tls_verify: true, ciphers: NOTHING}
			  - {port: 4, module: ejabberd_c2s, starttls: no, protocol_options: [no_tlsv1_2, no_tlsv1_3]}
		`, `
			main.yml:3:69: listen[0].tls_compression: crypto/tls has no compression; set it to false
			main.yml:4:56: listen[1].starttls_required: there is no certificate, so nobody could log in; set certfiles at the top level
			main.yml:4:68: listen[1].cafile: "gone.pem": no such file or directory
			main.yml:5:64: listen[2].ciphers: no cipher suite of TLS 1.2 is left; start with HIGH, or leave the option out
			main.yml:6:69: listen[3].protocol_options: no_tlsv1_2 and no_tlsv1_3 leave no version of TLS; remove one
			warning: main.yml:3:47: listen[0].starttls: there is no certificate, so STARTTLS is not offered; set certfiles at the top level
			warning: main.yml:5:49: listen[2].tls_verify: there is no certificate, so there is no TLS in which a client could show its own; set certfiles at the top level
			warning: main.yml:5:64: listen[2].ciphers: crypto/tls has no cipher suite or class called "NOTHING"
		`},
		{"TLS options of the top level without a listener", `
			hosts: [example.org]
			c2s_tls_compression: true
			c2s_cafile: gone.pem
			host_config:
			  example.org: {s2s_ciphers: NOTHING}
		`, `
			main.yml:2:22: c2s_tls_compression: crypto/tls has no compression; set it to false
			main.yml:3:13: c2s_cafile: "gone.pem": no such file or directory
			main.yml:5:30: host_config["example.org"].s2s_ciphers: no cipher suite of TLS 1.2 is left; start with HIGH, or leave the option out
			warning: main.yml:5:30: host_config["example.org"].s2s_ciphers: crypto/tls has no cipher suite or class called "NOTHING"
		`},
		{"TLS options of a datagram socket", `
			hosts: [example.org]
			certfiles: [good.pem]
			listen:
			  - {port: 1, transport: udp, module: ejabberd_stun, certfile: good.pem, tls: false}
		`, `
			warning: main.yml:4:64: listen[0].certfile: has no effect with transport: udp
		`},
		{"proxies that nobody is", `
			hosts: [example.org]
			trusted_proxies: []
			listen:
			  - {port: 1, module: ejabberd_c2s, use_proxy_protocol: true}
			  - {port: "unix:s", module: ejabberd_c2s, use_proxy_protocol: true}
			  - {port: 2, transport: [], module: ejabberd_c2s}
		`, `
			main.yml:6:26: listen[2].transport: want tcp or udp, got a list
			warning: main.yml:4:57: listen[0].use_proxy_protocol: has no effect: the list of the proxies is empty
		`},
		{"tables of a virtual host", `
			hosts: [example.org, example.net]
			acl:
			  local: {user_regexp: ""}
			  admin: {user: ana}
			access_rules:
			  c2s: [allow: local]
			  register: [allow: admin]
			shaper_rules:
			  c2s_shaper: 1000
			host_config:
			  example.org:
			    acl: {admin: {user: bo}}
			    access_rules: {register: [deny]}
			    shaper_rules: {}
			append_host_config:
			  example.net:
			    access_rules: {register: [deny]}
			listen:
			  - {port: 1, module: ejabberd_c2s, access: c2s, shaper: c2s_shaper}
		`, `
			warning: main.yml:12:10: host_config["example.org"].acl: replaces the global acl for this virtual host and lacks local; append_host_config would add to them
			warning: main.yml:13:19: host_config["example.org"].access_rules: replaces the global access_rules for this virtual host and lacks c2s; append_host_config would add to them
			warning: main.yml:14:19: host_config["example.org"].shaper_rules: replaces the global shaper_rules for this virtual host and lacks c2s_shaper; append_host_config would add to them
		`},
	})
}

// TestLongUnixPath wants the check to find what would keep the socket from being
// opened: the name under which it is made is longer than its own.
func TestLongUnixPath(t *testing.T) {
	for _, tt := range []struct {
		length int
		ok     bool
	}{{94, true}, {97, true}, {98, false}, {107, false}, {108, false}} {
		path := "/" + strings.Repeat("d", tt.length-3) + "/s"
		got := problems(t, t.TempDir(), "hosts: [example.org]\nlisten: [{port: 'unix:"+path+"', module: ejabberd_c2s}]\n", testRegistry())
		if (got == "") != tt.ok || !tt.ok && !strings.HasPrefix(got, "main.yml:2:17: listen[0].port: ") {
			t.Errorf("path of %d bytes: got %q, want accepted: %t", tt.length, got, tt.ok)
		}
	}
}
