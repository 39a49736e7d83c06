package all_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/listen"
)

// harbour returns a directory with the certificate harbour.pem, of harbour.test.
func harbour(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeCertificate(t, filepath.Join(dir, "harbour.pem"), "harbour.test")
	return dir
}

func writeCertificate(t *testing.T, path string, names ...string) {
	t.Helper()
	cert, key, err := certs.SelfSigned(names)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, slices.Concat(key, cert), 0o600); err != nil {
		t.Fatal(err)
	}
}

// problems parses src as dir/main.yml and returns a line for each error, and each
// warning after "warning: ". The directory is left out.
func problems(t *testing.T, dir, src string) string {
	t.Helper()
	c, err := listen.Parse(filepath.Join(dir, "main.yml"), []byte(src), registry(t))
	var list, warnings []*listen.Error
	var bad *listen.ParseError
	switch {
	case err == nil:
		warnings = c.Warnings
	case errors.As(err, &bad):
		list, warnings = bad.Errors, bad.Warnings
	default:
		t.Fatalf("got error %T, want a *ParseError", err)
	}
	var b strings.Builder
	for _, e := range list {
		b.WriteString(e.Error() + "\n")
	}
	for _, e := range warnings {
		b.WriteString("warning: " + e.Error() + "\n")
	}
	return strings.ReplaceAll(b.String(), dir+string(filepath.Separator), "")
}

// dedent removes the indentation that the test tables have.
func dedent(s string) string {
	return strings.TrimLeft(strings.ReplaceAll(strings.TrimRight(s, "\t "), "\n\t\t\t", "\n"), "\n")
}

type mistake struct{ name, src, want string }

func mistakes(t *testing.T, cases []mistake) {
	dir := harbour(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, want := problems(t, dir, dedent(c.src)), dedent(c.want); got != want {
				t.Errorf("problems\ngot:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestMistakesOfServers(t *testing.T) {
	mistakes(t, []mistake{
		{"none", `
			hosts: [harbour.test]
			certfiles: [harbour.pem]
			s2s_use_starttls: required
			modules: {mod_s2s_dialback: {}, mod_s2s_bidi: {}}
			listen: [{port: 5269, module: ejabberd_s2s_in}]
		`, ``},
		{"options of other listeners", `
			hosts: [harbour.test]
			certfiles: [harbour.pem]
			listen:
			  - port: 5269
			    module: ejabberd_s2s_in
			    access: all
			    starttls: true
			    starttls_required: true
			    tls_verify: true
			    zlib: false
			    s2s_use_starttls: required
			    max_stanza_sise: 1000
			    password: x
		`, `
			main.yml:6:5: listen[0].access: unknown option of ejabberd_s2s_in; use s2s_access at the top level
			main.yml:7:5: listen[0].starttls: unknown option of ejabberd_s2s_in; use s2s_use_starttls at the top level
			main.yml:8:5: listen[0].starttls_required: unknown option of ejabberd_s2s_in; use s2s_use_starttls at the top level
			main.yml:9:5: listen[0].tls_verify: unknown option of ejabberd_s2s_in; certificates are always asked for, and s2s_use_starttls: required_trusted at the top level takes nothing else
			main.yml:10:5: listen[0].zlib: unknown option of ejabberd_s2s_in; use s2s_zlib at the top level
			main.yml:11:5: listen[0].s2s_use_starttls: unknown option of ejabberd_s2s_in
			main.yml:12:5: listen[0].max_stanza_sise: unknown option of ejabberd_s2s_in (did you mean max_stanza_size?)
			main.yml:13:5: listen[0].password: unknown option of ejabberd_s2s_in
		`},
		{"values", `
			hosts: [harbour.test]
			s2s_use_starttls: always
			s2s_timeout: 0
			s2s_dns_timeout: soon
			s2s_dns_retries: -1
			s2s_max_retry_delay: infinity
			s2s_zlib: true
			outgoing_s2s_families: []
			outgoing_s2s_port: 0
			outgoing_s2s_timeout: 1.5
			outgoing_s2s_ipv4_address: "2001:db8::1"
			outgoing_s2s_ipv6_address: 192.0.2.1
			max_fsm_queue: 0
			host_config:
			  harbour.test:
			    s2s_zlib: on
			    outgoing_s2s_families: [ipv4, ipv6, ipv4]
			    outgoing_s2s_ipv4_address: localhost
			    s2s_max_retry_delay: 5
			modules:
			  mod_s2s_dialback: {access: friends, acess: all}
			  mod_s2s_bidi: {yes: no}
		`, `
			main.yml:2:19: s2s_use_starttls: want false, optional, required or required_trusted, got "always"
			main.yml:3:14: s2s_timeout: want seconds or a time with its unit such as 15 s or 500 ms, or infinity, got 0
			main.yml:4:18: s2s_dns_timeout: want seconds or a time with its unit such as 15 s or 500 ms, or infinity, got "soon"
			main.yml:5:18: s2s_dns_retries: want an integer of at least 0, got -1
			main.yml:6:22: s2s_max_retry_delay: want seconds or a time with its unit such as 15 s or 500 ms, got "infinity"
			main.yml:7:11: s2s_zlib: this build has no stream compression (XEP-0138)
			main.yml:8:24: outgoing_s2s_families: want ipv4 or ipv6, or a list of them, got none
			main.yml:9:20: outgoing_s2s_port: want an integer from 1 to 65535, got 0
			main.yml:10:23: outgoing_s2s_timeout: want seconds or a time with its unit such as 15 s or 500 ms, or infinity, got the number 1.5
			main.yml:11:28: outgoing_s2s_ipv4_address: want an IPv4 address, got "2001:db8::1"
			main.yml:12:28: outgoing_s2s_ipv6_address: want an IPv6 address, got "192.0.2.1"
			main.yml:13:16: max_fsm_queue: want a positive integer, got 0
			main.yml:16:15: host_config["harbour.test"].s2s_zlib: this build has no stream compression (XEP-0138)
			main.yml:17:41: host_config["harbour.test"].outgoing_s2s_families[2]: ipv4 is listed already
			main.yml:18:32: host_config["harbour.test"].outgoing_s2s_ipv4_address: want an IPv4 address, got "localhost"
			main.yml:19:5: host_config["harbour.test"].s2s_max_retry_delay: is for the whole server and cannot be set for one virtual host
			main.yml:21:39: modules.mod_s2s_dialback.acess: unknown option of mod_s2s_dialback (did you mean access?)
			main.yml:22:18: modules.mod_s2s_bidi.yes: unknown option of mod_s2s_bidi
			warning: main.yml:21:30: modules.mod_s2s_dialback.access: the access rule friends is not defined and denies everybody
		`},
		{"families", `
			hosts: [harbour.test]
			outgoing_s2s_families: [ipv6, ipv7]
			outgoing_s2s_ipv4_address: "::ffff:192.0.2.1"
			append_host_config:
			  harbour.test: {outgoing_s2s_families: ipv6}
		`, `
			main.yml:2:31: outgoing_s2s_families[1]: want ipv4 or ipv6, got "ipv7" (did you mean ipv4?)
			main.yml:5:41: append_host_config["harbour.test"].outgoing_s2s_families: ipv6 is listed already
		`},
		{"times", `
			hosts: [harbour.test]
			s2s_timeout: 3600
			s2s_dns_timeout: 10000
			outgoing_s2s_timeout: 10000
			host_config:
			  harbour.test: {s2s_timeout: 600000, s2s_dns_timeout: 10 s, outgoing_s2s_timeout: 10}
		`, `
			warning: main.yml:3:18: s2s_dns_timeout: 10000 is taken for seconds; write 10000 s, or 10000 ms for milliseconds
			warning: main.yml:4:23: outgoing_s2s_timeout: 10000 is taken for milliseconds; write 10000 ms, or 10000 s for seconds
			warning: main.yml:6:31: host_config["harbour.test"].s2s_timeout: 600000 is taken for seconds; write 600000 s, or 600000 ms for milliseconds
		`},
		{"no certificate, optional", `
			hosts: [harbour.test]
			s2s_use_starttls: true
			listen: [{port: 5269, module: ejabberd_s2s_in}]
		`, `
			warning: main.yml:2:19: s2s_use_starttls: there is no certificate, so STARTTLS is not offered to other servers; set certfiles at the top level
		`},
		{"no certificate, not said", `
			hosts: [harbour.test]
			listen: [{port: 5269, module: ejabberd_s2s_in}]
		`, ``},
		{"no certificate, required", `
			hosts: [harbour.test]
			s2s_use_starttls: false
			host_config: {harbour.test: {s2s_use_starttls: required}}
			listen: [{port: 5269, module: ejabberd_s2s_in}]
		`, `
			main.yml:3:48: host_config["harbour.test"].s2s_use_starttls: there is no certificate, so no other server could connect; set certfiles at the top level
		`},
		{"no certificate, trusted", `
			hosts: [harbour.test]
			s2s_use_starttls: required_trusted
			listen: [{port: 5269, module: ejabberd_s2s_in, certfile: harbour.pem}]
		`, `
			main.yml:2:19: s2s_use_starttls: there is no certificate, and by nothing else would other servers know this one; set certfiles at the top level
			warning: main.yml:2:19: s2s_use_starttls: deprecated: means required, and that dialback is off; ejabberd wants required, and mod_s2s_dialback left out of modules
			warning: main.yml:3:58: listen[0].certfile: deprecated: use certfiles at the top level
		`},
		{"no certificate as its file is missing", `
			hosts: [harbour.test]
			certfiles: [lagoon.pem]
			s2s_use_starttls: required
			listen: [{port: 5269, module: ejabberd_s2s_in}, {port: 5270, module: ejabberd_s2s_in, tls: true}]
		`, `
			main.yml:2:13: certfiles[0]: "lagoon.pem": no such file or directory
		`},
		{"files of CAs", `
			hosts: [harbour.test]
			certfiles: [harbour.pem]
			s2s_cafile: lagoon.pem
			s2s_tls_compression: true
			s2s_ciphers: NOTHING
		`, `
			main.yml:3:13: s2s_cafile: "lagoon.pem": no such file or directory
			main.yml:4:22: s2s_tls_compression: crypto/tls has no compression; set it to false
			main.yml:5:14: s2s_ciphers: no cipher suite of TLS 1.2 is left; start with HIGH, or leave the option out
			warning: main.yml:5:14: s2s_ciphers: crypto/tls has no cipher suite or class called "NOTHING"
		`},
	})
}

func TestMistakesOfComponents(t *testing.T) {
	mistakes(t, []mistake{
		{"none", `
			hosts: [harbour.test]
			listen:
			  - port: 5347
			    module: ejabberd_service
			    check_from: false
			    hosts:
			      tug.harbour.test: {password: heave}
			      PILOT.harbour.test: {password: "123"}
			  - {port: 5348, module: ejabberd_service, password: ahoy, hosts: {tug.harbour.test: , pilot.harbour.test: {}}}
			  - {port: 5349, module: ejabberd_service, password: ahoy, hosts: []}
		`, ``},
		{"domains", `
			hosts: [harbour.test, bücher.test]
			listen:
			  - port: 5347
			    module: ejabberd_service
			    password: ahoy
			    hosts:
			      "two words": {}
			      ana@tug.test: {}
			      tug.test: {}
			      TUG.test: {}
			      Harbour.test: {}
			      xn--bcher-kva.test: {}
			      5: {}
		`, `
			main.yml:7:7: listen[0].hosts["two words"]: "two words" is no domain
			main.yml:8:7: listen[0].hosts["ana@tug.test"]: "ana@tug.test" is no domain
			main.yml:10:7: listen[0].hosts["TUG.test"]: tug.test is listed already
			main.yml:11:7: listen[0].hosts["Harbour.test"]: harbour.test is one of hosts; a component needs a domain of its own
			main.yml:12:7: listen[0].hosts["xn--bcher-kva.test"]: bücher.test is one of hosts; a component needs a domain of its own
			main.yml:13:7: listen[0].hosts.5: want a string, got the number 5; put it in quotes
		`},
		{"passwords", `
			hosts: [harbour.test]
			listen:
			  - {port: 5347, module: ejabberd_service}
			  - {port: 5348, module: ejabberd_service, password: ""}
			  - {port: 5349, module: ejabberd_service, password: 1234}
			  - port: 5350
			    module: ejabberd_service
			    hosts:
			      tug.test:
			      pilot.test: {password: ""}
			      dredger.test: {password: 5678}
			      ferry.test: {pasword: heave}
			      barge.test: heave
			  - {port: 5351, module: ejabberd_service, hosts: [tug.test]}
		`, `
			main.yml:5:54: listen[2].password: want a string, got a number; put it in quotes
			main.yml:11:32: listen[3].hosts["dredger.test"].password: want a string, got a number; put it in quotes
			main.yml:12:20: listen[3].hosts["ferry.test"].pasword: unknown option of this map (did you mean password?)
			main.yml:13:19: listen[3].hosts["barge.test"]: want a map, got "heave"
			main.yml:14:51: listen[4].hosts: want a map, got a list
			warning: main.yml:3:5: listen[0].password: missing, so no component can attach
			warning: main.yml:4:54: listen[1].password: empty, so no component can attach
			warning: main.yml:9:7: listen[3].hosts["tug.test"]: has no password, and the listener has none, so no component can attach for it
			warning: main.yml:10:7: listen[3].hosts["pilot.test"]: has no password, and the listener has none, so no component can attach for it
			warning: main.yml:12:7: listen[3].hosts["ferry.test"]: has no password, and the listener has none, so no component can attach for it
		`},
		{"options of other listeners", `
			hosts: [harbour.test]
			listen:
			  - port: 5347
			    module: ejabberd_service
			    password: ahoy
			    starttls: true
			    tls_verify: true
			    zlib: true
			    conflict: close
			    shaper_rule: a
			    shaper: none
			    tls: true
		`, `
			main.yml:6:5: listen[0].starttls: unknown option of ejabberd_service; components have TLS from the first byte, by tls, or none
			main.yml:7:5: listen[0].tls_verify: unknown option of ejabberd_service; components are known by their password
			main.yml:8:5: listen[0].zlib: unknown option of ejabberd_service; components cannot compress their streams
			main.yml:9:15: listen[0].conflict: want share, closeold or closenew, got "close" (did you mean closenew?)
			main.yml:12:10: listen[0].tls: there is no certificate; set certfile, or certfiles at the top level
			warning: main.yml:10:18: listen[0].shaper_rule: deprecated: use shaper
		`},
	})
}

func TestMistakesOfRelays(t *testing.T) {
	mistakes(t, []mistake{
		{"none", `
			hosts: [harbour.test]
			certfiles: [harbour.pem]
			auth_password_format: scram
			modules: {mod_stun_disco: {}}
			listen:
			  - {port: 3478, transport: udp, module: ejabberd_stun, turn_ipv4_address: 192.0.2.1, turn_blacklist: 10.0.0.1}
			  - {port: 3478, module: ejabberd_stun, turn_ipv4_address: 192.0.2.1, turn_max_lifetime: 10 min}
			  - {port: 5349, module: ejabberd_stun, tls: true}
		`, ``},
		{"values", `
			hosts: [harbour.test]
			listen:
			  - port: 3478
			    ip: 127.0.0.1
			    transport: udp
			    tls: true
			    module: ejabberd_stun
			    auth_type: anonymus
			    auth_realm: lagoon.test
			    server_name: 5
			    turn_min_port: 1024
			    turn_max_port: 65536
			    turn_max_allocations: 0
			    turn_max_permissions: none
			    turn_max_lifetime: infinity
			    turn_allocation_rate: -1
			    turn_user_rate: 1 MB
			    turn_blacklist: {}
			    turn_whitelist: 10.0.0.0/40
			    turn_alternate_server: "2001:db8::1:3478"
			    turn_whitelits: 10.0.0.1
			    protocol_options: [no_tlsv1]
		`, `
			main.yml:6:10: listen[0].tls: there is no TLS with transport: udp: DTLS is not supported
			main.yml:8:16: listen[0].auth_type: want user or anonymous, got "anonymus" (did you mean anonymous?)
			main.yml:9:17: listen[0].auth_realm: lagoon.test is none of hosts (did you mean harbour.test?)
			main.yml:10:18: listen[0].server_name: want a string, got the number 5; put it in quotes
			main.yml:11:20: listen[0].turn_min_port: want an integer from 1025 to 65535, got 1024
			main.yml:12:20: listen[0].turn_max_port: want an integer from 1025 to 65535, got 65536
			main.yml:13:27: listen[0].turn_max_allocations: want an integer from 1 to 2147483647, got 0
			main.yml:14:27: listen[0].turn_max_permissions: want an integer from 1 to 2147483647, got "none"
			main.yml:15:24: listen[0].turn_max_lifetime: want seconds or a time with its unit such as 15 s or 500 ms, got "infinity"
			main.yml:16:27: listen[0].turn_allocation_rate: want an integer of at least 0, got -1
			main.yml:17:21: listen[0].turn_user_rate: want an integer of at least 0, got "1 MB"
			main.yml:19:21: listen[0].turn_whitelist: want an address or ADDRESS/LENGTH, got "10.0.0.0/40"
			main.yml:20:28: listen[0].turn_alternate_server: want ADDRESS:PORT or [ADDRESS]:PORT, got "2001:db8::1:3478"
			main.yml:21:5: listen[0].turn_whitelits: unknown option of ejabberd_stun (did you mean turn_whitelist?)
			main.yml:22:5: listen[0].protocol_options: unknown option of ejabberd_stun
		`},
		{"contradictions", `
			hosts: [harbour.test]
			listen:
			  - {port: 1, ip: 192.0.2.1, module: ejabberd_stun, turn_min_port: 50001, turn_max_port: 50000}
			  - {port: 2, ip: 192.0.2.1, module: ejabberd_stun, turn_max_port: 2000, turn_max_lifetime: 5 min}
			  - {port: 3, ip: 192.0.2.1, module: ejabberd_stun, use_turn: false, turn_max_port: 2000}
			  - {port: 4, ip: 192.0.2.1, module: ejabberd_stun, turn_max_allocations: infinity, turn_max_permissions: unlimited}
		`, `
			main.yml:3:90: listen[0].turn_max_port: 50000 is less than turn_min_port, 50001
			main.yml:4:68: listen[1].turn_max_port: 2000 is less than turn_min_port, 49152
			main.yml:4:93: listen[1].turn_max_lifetime: want at least 10m0s, got 5m0s
			warning: main.yml:5:85: listen[2].turn_max_port: has no effect with use_turn: false
			warning: main.yml:6:75: listen[3].turn_max_allocations: infinity means 65536 here; write a number
			warning: main.yml:6:107: listen[3].turn_max_permissions: unlimited means 65536 here; write a number
		`},
	})
}

func TestMistakesOfHandlers(t *testing.T) {
	mistakes(t, []mistake{
		{"the API", `
			hosts: [harbour.test]
			modules: {mod_http_api: {default_version: 24.06, admin_ip_access: all}}
			listen: [{port: 5280, module: ejabberd_http, request_handlers: {/api: mod_http_api}}]
		`, `
			main.yml:2:43: modules.mod_http_api.default_version: want a string, got the number 24.06; put it in quotes
			warning: main.yml:2:50: modules.mod_http_api.admin_ip_access: has no effect any more; use api_permissions
		`},
		{"OAuth", `
			hosts: [harbour.test, quay.test]
			oauth_access: [{allow: nobody}]
			oauth_expire: soon
			oauth_client_id_check: maybe
			host_config:
			  quay.test: {oauth_access: none, oauth_expire: 3}
			listen: []
		`, `
			main.yml:3:15: oauth_expire: want seconds or a time with its unit such as 15 s or 500 ms, got "soon"
			main.yml:4:24: oauth_client_id_check: want allow, deny or db, got "maybe"
			main.yml:6:35: host_config["quay.test"].oauth_expire: is for the whole server and cannot be set for one virtual host
			warning: main.yml:2:24: oauth_access[0].allow: the ACL nobody is not defined and matches nobody
		`},
	})
}
