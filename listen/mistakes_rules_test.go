package listen

import "testing"

func TestMistakesOfRules(t *testing.T) {
	mistakes(t, []mistake{
		{"acl", `
			hosts: [example.org]
			acl:
			  all: {user: x}
			  a: {usr: x}
			  b: {user: [1, {ana: example.org}, "a@b@c"]}
			  c: {acl: a}
			  d: {ip: [127.0.0.1/8, 1.2.3]}
			  e: {user_regexp: "a(?=b)"}
			  f: {server_glob: "[a"}
			  g: word
			  h: [word, {resource: x}]
			  i:
			    user:
		`, `
			main.yml:3:3: acl.all: all is built in; choose another name
			main.yml:4:7: acl.a.usr: unknown kind of condition (did you mean user?)
			main.yml:5:14: acl.b.user[0]: want a string, got the number 1; put it in quotes
			main.yml:5:37: acl.b.user[2]: "a@b@c" has more than one @; write {user: server}
			main.yml:6:7: acl.c.acl: an ACL cannot refer to another ACL; do it in an access rule
			main.yml:7:25: acl.d.ip[1]: "1.2.3" is no IP address; write ADDRESS or ADDRESS/LENGTH
			main.yml:8:20: acl.e.user_regexp: bad regular expression "a(?=b)": (?= is look-ahead, which RE2 syntax does not have; write several conditions in one access rule entry, all of which must match
			main.yml:9:20: acl.f.server_glob: bad glob "[a": [ has no closing ]; write [[] for the character itself
			main.yml:10:6: acl.g: want a map of what to match, such as user: NAME, got "word"
			main.yml:11:7: acl.h[0]: want a map of what to match, such as user: NAME, got "word"
			main.yml:13:10: acl.i.user: want a value, got nothing
		`},
		{"access_rules", `
			hosts: [example.org]
			access_rules:
			  none: [allow]
			  a: admin
			  b: []
			  c:
			    - alow: all
			    - deny: nobody_knows
			    - allow: {user: [x, y]}
			    - allow
			    - 5
			  d: {deny: {ip: 10.0.0.0/8}, allow: all}
		`, `
			main.yml:3:3: access_rules.none: none is built in; choose another name
			main.yml:4:6: access_rules.a: want a list of allow and deny entries, got "admin"; write - allow: admin
			main.yml:5:6: access_rules.b: want a list of allow and deny entries, got none
			main.yml:7:7: access_rules.c[0].alow: want allow or deny, got "alow" (did you mean allow?)
			main.yml:11:7: access_rules.c[4]: want allow or deny, got the number 5
			warning: main.yml:8:13: access_rules.c[1].deny: the ACL nobody_knows is not defined and matches nobody
			warning: main.yml:9:14: access_rules.c[2].allow: all conditions of an entry must hold, and nobody has two values of user; write an entry for each
		`},
		{"shaper", `
			hosts: [example.org]
			shaper:
			  none: 5
			  a: 1000
			  b: {rate: 0}
			  c: {burst_size: 5, burst: 1}
			  d: infinity
			shaper_rules:
			  x: 10
			  y: [a, {none: all}, {zz: all}]
			  z: []
			  w: {5: nobody, unknown: all}
		`, `
			main.yml:3:3: shaper.none: none means no limit; choose another name
			main.yml:5:13: shaper.b.rate: want a positive integer, got 0
			main.yml:6:6: shaper.c.rate: missing
			main.yml:6:22: shaper.c.burst: unknown option of a shaper (did you mean burst_size?)
			main.yml:11:6: shaper_rules.z: want a number, the name of a shaper or a list of both, got nothing
			warning: main.yml:10:24: shaper_rules.y[2].zz: the shaper zz is not defined and this entry is skipped
			warning: main.yml:12:10: shaper_rules.w.5: the ACL nobody is not defined and matches nobody
			warning: main.yml:12:18: shaper_rules.w.unknown: the shaper unknown is not defined and this entry is skipped
		`},
		{"wrong shapes", `
			hosts: [example.org]
			acl: [admin]
			access_rules:
			  a: [{allow: [admin, [x], {ip: 10.0.0.1}, 5]}]
			  b: {allow: {}, deny: {user: []}}
			  d: [{allow: []}, {allow: [{}]}, {allow: {user: [{}]}}, {deny: {ip: {}}}]
			  c:
			    - allow:
			    - deny: word
			shaper: 1000
			shaper_rules:
			  none: 5
			  a: [true, 1.5, {0: all}, [x]]
			  b: infinity
			api_permissions:
			  a:
			    - from: []
			    - what
			  b: {from: 5, who: {oauth: [{scope: x}, {access: c2s}, y]}, what: [5]}
			trusted_proxies: ["::ffff:10.0.0.0/104", "::ffff:10.0.0.0/8", 127.0.0.1]
		`, `
			main.yml:2:6: acl: want a map of names, got a list
			main.yml:4:23: access_rules.a[0].allow[1]: want the name of an ACL or a map of conditions, got a list
			main.yml:4:44: access_rules.a[0].allow[3]: want a string, got the number 5; put it in quotes
			main.yml:5:14: access_rules.b.allow: want the name of an ACL or a map of conditions, got nothing
			main.yml:5:31: access_rules.b.deny.user: want a value, got nothing
			main.yml:6:15: access_rules.d[0].allow: want the name of an ACL or a map of conditions, got nothing
			main.yml:6:29: access_rules.d[1].allow[0]: want the name of an ACL or a map of conditions, got nothing
			main.yml:6:51: access_rules.d[2].allow.user[0]: want a value, got nothing
			main.yml:6:70: access_rules.d[3].deny.ip: want a value, got nothing
			main.yml:8:13: access_rules.c[0].allow: want the name of an ACL or a map of conditions, got nothing
			main.yml:10:9: shaper: want a map of names, got the number 1000
			main.yml:12:3: shaper_rules.none: none means no limit; choose another name
			main.yml:13:7: shaper_rules.a[0]: want a number or the name of a shaper, got "true"
			main.yml:13:13: shaper_rules.a[1]: want a number or the name of a shaper, got the number 1.5
			main.yml:13:19: shaper_rules.a[2].0: want a positive integer, got 0
			main.yml:13:28: shaper_rules.a[3]: want a number or the name of a shaper, got a list
			main.yml:18:7: api_permissions.a[1]: want a map, got "what"
			main.yml:19:13: api_permissions.b.from: want a string, got the number 5; put it in quotes
			main.yml:19:57: api_permissions.b.who.oauth[2]: want a map, got "y"
			main.yml:19:69: api_permissions.b.what[0]: want a string, got the number 5; put it in quotes
			warning: main.yml:4:16: access_rules.a[0].allow[0]: the ACL admin is not defined and matches nobody
			warning: main.yml:9:13: access_rules.c[1].deny: the ACL word is not defined and matches nobody
			warning: main.yml:19:51: api_permissions.b.who.oauth[1].access: the access rule c2s is not defined and denies everybody
		`},
		{"undefined names", `
			hosts: [example.org]
			s2s_access: friends
			listen:
			  - {port: 1, module: ejabberd_c2s, access: c2s, shaper: c2s_shaper}
			  - {port: 2, module: ejabberd_c2s, access: all, shaper: none}
			  - {port: 3, module: ejabberd_c2s, access: vip, shaper: [{slow: vips}, 1000]}
			host_config:
			  example.org:
			    access_rules: {vip: [allow: all]}
		`, `
			warning: main.yml:2:13: s2s_access: the access rule friends is not defined and denies everybody
			warning: main.yml:4:45: listen[0].access: the access rule c2s is not defined and denies everybody
			warning: main.yml:4:58: listen[0].shaper: the shaper rule c2s_shaper is not defined and sets no limit
			warning: main.yml:6:60: listen[2].shaper[0].slow: the shaper slow is not defined and this entry is skipped
			warning: main.yml:6:66: listen[2].shaper[0].slow: the ACL vips is not defined and matches nobody
		`},
		{"api_permissions", `
			hosts: [example.org]
			api_permissions:
			  a:
			    from: [mod_http_apy, {tag: x}, {tg: y}]
			    who:
			      - ip: 127.0.0.1
			      - user: a@example.org
			      - access: nothing
			      - oauth: {acl: admin}
			    what: ["*", "!!x", "[tags:x]"]
			    wat: x
			  b: {who: {asl: x, access: [allow: all]}, what: register}
		`, `
			main.yml:4:12: api_permissions.a.from[0]: want ejabberd_ctl, ejabberd_web_admin, ejabberd_xmlrpc, mod_adhoc_api, mod_cron or mod_http_api, got "mod_http_apy" (did you mean mod_http_api?)
			main.yml:4:37: api_permissions.a.from[2].tg: want tag, got "tg" (did you mean tag?)
			main.yml:9:16: api_permissions.a.who[3].oauth.scope: missing
			main.yml:10:17: api_permissions.a.what[1]: double negation "!!x"; write one ! or none
			main.yml:10:24: api_permissions.a.what[2]: invalid tag "[tags:x]"; write [tag:NAME]
			main.yml:11:5: api_permissions.a.wat: unknown option of a group of permissions (did you mean what?)
			main.yml:12:13: api_permissions.b.who.asl: unknown kind of condition (did you mean acl?)
			warning: main.yml:8:17: api_permissions.a.who[2].access: the access rule nothing is not defined and denies everybody
			warning: main.yml:9:22: api_permissions.a.who[3].oauth.acl: the ACL admin is not defined and matches nobody
		`},
	})
}

func TestMistakesOfSockets(t *testing.T) {
	mistakes(t, []mistake{
		{"the same twice", `
			hosts: [example.org]
			listen:
			  - {port: 5222, module: echo}
			  - {port: 5222, ip: 0.0.0.0, module: echo}
			  - {port: 5222, ip: "::ffff:0.0.0.0", module: echo}
			  - {port: 5222, transport: udp, module: ejabberd_stun}
			  - {port: "unix:a/../s", module: echo}
			  - {port: "unix:s", module: echo}
			  - {port: 0, module: echo}
			  - {port: 0, module: echo}
		`, `
			main.yml:4:12: listen[1].port: tcp 0.0.0.0:5222 is taken by listen[0] (line 3)
			main.yml:5:12: listen[2].port: tcp 0.0.0.0:5222 is taken by listen[0] (line 3)
			main.yml:8:12: listen[5].port: the socket /state/s is taken by listen[4] (line 7)
		`},
		{"wildcards", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: echo}
			  - {port: 1, ip: 127.0.0.1, module: echo}
			  - {port: 2, ip: 127.0.0.1, module: echo}
			  - {port: 2, ip: "::", module: echo}
			  - {port: 3, ip: "::1", module: echo}
			  - {port: 3, ip: "::", module: echo}
			  - {port: 3, ip: 127.0.0.1, module: echo}
			  - {port: 4, ip: "::", module: echo}
			  - {port: 4, ip: 0.0.0.0, module: echo}
			  - {port: 5, ip: "::ffff:127.0.0.1", module: echo}
			  - {port: 5, ip: 127.0.0.1, module: echo}
			  - {port: 6, ip: "FDCA:8AB6:A243:75EF::1", module: echo}
			  - {port: 6, ip: 127.0.0.1, module: echo}
		`, `
			main.yml:4:12: listen[1].port: tcp 127.0.0.1:1 overlaps with 0.0.0.0:1 of listen[0] (line 3)
			main.yml:6:12: listen[3].port: tcp [::]:2 overlaps with 127.0.0.1:2 of listen[2] (line 5)
			main.yml:8:12: listen[5].port: tcp [::]:3 overlaps with [::1]:3 of listen[4] (line 7)
			main.yml:9:12: listen[6].port: tcp 127.0.0.1:3 overlaps with [::]:3 of listen[5] (line 8)
			main.yml:13:12: listen[10].port: tcp 127.0.0.1:5 is taken by listen[9] (line 12)
		`},
		{"transport", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: ejabberd_c2s, transport: udp}
			  - {port: 2, module: ejabberd_stun, transport: udp, backlog: 5, use_proxy_protocol: true, accept_interval: 1}
			  - {port: 3, module: ejabberd_stun, transport: udp, tls: true}
			  - {port: 4, module: ejabberd_stun, transport: sctp}
			  - {port: 5, module: datagram}
			  - {port: "unix:x", module: datagram, transport: udp}
		`, `
			main.yml:3:48: listen[0].transport: ejabberd_c2s does not speak udp
			main.yml:4:63: listen[1].backlog: not allowed with transport: udp
			main.yml:4:86: listen[1].use_proxy_protocol: not allowed with transport: udp
			main.yml:4:109: listen[1].accept_interval: not allowed with transport: udp
			main.yml:5:59: listen[2].tls: there is no TLS with transport: udp: DTLS is not supported
			main.yml:6:49: listen[3].transport: want tcp or udp, got "sctp" (did you mean tcp?)
			main.yml:7:23: listen[4].module: datagram speaks udp only; add transport: udp
			main.yml:8:12: listen[5].port: a unix socket has no transport: udp
		`},
		{"addresses", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: echo, ip: 127.1}
			  - {port: 2, module: echo, ip: localhost}
			  - {port: 3, module: echo, ip: "fe80::1%eth0"}
			  - {port: 4, module: echo, ip: "[::1]"}
			  - {port: -1, module: echo}
			  - {port: "unix:", module: echo}
			  - {port: "unix:s", module: echo, ip: "::1"}
		`, `
			main.yml:3:33: listen[0].ip: want an IPv4 or IPv6 address, got the number 127.1
			main.yml:4:33: listen[1].ip: want an IPv4 or IPv6 address, got "localhost"
			main.yml:5:33: listen[2].ip: want an IPv4 or IPv6 address, got "fe80::1%eth0"
			main.yml:6:33: listen[3].ip: want an IPv4 or IPv6 address, got "[::1]"
			main.yml:7:12: listen[4].port: want an integer from 0 to 65535, got -1
			main.yml:8:12: listen[5].port: want a path after unix:
			warning: main.yml:9:40: listen[6].ip: has no effect on a unix socket
		`},
		{"unix_socket", `
			hosts: [example.org]
			listen:
			  - {port: "unix:a", module: echo, unix_socket: {mode: 0600}}
			  - {port: "unix:b", module: echo, unix_socket: {mode: "0999", owner: root, gruop: 1}}
			  - {port: 5, module: echo, unix_socket: {mode: "0600"}}
			  - {port: "unix:c", module: echo, unix_socket: word}
		`, `
			main.yml:3:56: listen[0].unix_socket.mode: want octal digits in quotes, got the number 0600
			main.yml:4:56: listen[1].unix_socket.mode: want octal digits in quotes, such as "0660"
			main.yml:4:71: listen[1].unix_socket.owner: want an integer from 0 to 2147483647, got "root"
			main.yml:4:77: listen[1].unix_socket.gruop: unknown option of unix_socket (did you mean group?)
			main.yml:6:49: listen[3].unix_socket: want a map of mode, owner and group, got "word"
			warning: main.yml:5:42: listen[2].unix_socket: has no effect: the port is no unix socket
		`},
		{"proxy protocol", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: echo, use_proxy_protocol: true}
			  - {port: 2, module: echo, proxy_protocol_from: 10.0.0.1}
			  - {port: 3, module: echo, use_proxy_protocol: true, proxy_protocol_from: [ten]}
			  - {port: "unix:x", module: echo, use_proxy_protocol: true}
		`, `
			main.yml:5:77: listen[2].proxy_protocol_from[0]: want an address or ADDRESS/LENGTH, got "ten"
			warning: main.yml:3:49: listen[0].use_proxy_protocol: only loopback peers are believed; name the proxies in proxy_protocol_from or trusted_proxies
			warning: main.yml:4:50: listen[1].proxy_protocol_from: has no effect without use_proxy_protocol: true
		`},
		{"old options", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: ejabberd_c2s, certfile: good.pem, inet6: true, timeout: 5000}
			  - {port: 2, module: ejabberd_http, web_admin: true, http_poll: true, captcha: false, default_host: example.org}
			  - {port: 3, module: ejabberd_xmlrpc, access_commands: {}, tls: true}
			  - {port: 4, module: ejabberd_stun, turn_ip: 10.0.0.1, timeout: 5}
			  - {port: 5, module: ejabberd_service, shaper_rule: none}
			s2s_use_starttls: required_trusted
		`, `
			main.yml:5:61: listen[2].tls: unknown option of ejabberd_xmlrpc
			warning: main.yml:3:47: listen[0].certfile: deprecated: use certfiles at the top level
			warning: main.yml:3:64: listen[0].inet6: has no effect any more; use ip
			warning: main.yml:3:79: listen[0].timeout: 5000 is taken for milliseconds; write 5000 ms, or 5000 s for seconds
			warning: main.yml:3:79: listen[0].timeout: deprecated: use negotiation_timeout at the top level
			warning: main.yml:4:49: listen[1].web_admin: deprecated: use request_handlers: {/admin: ejabberd_web_admin}
			warning: main.yml:4:66: listen[1].http_poll: has no effect any more
			warning: main.yml:4:81: listen[1].captcha: deprecated: use request_handlers: {/captcha: ejabberd_captcha}
			warning: main.yml:4:102: listen[1].default_host: deprecated: ejabberd has no such option any more
			warning: main.yml:5:23: listen[2].module: deprecated: use ejabberd_http with request_handlers: {/: ejabberd_xmlrpc}
			warning: main.yml:5:57: listen[2].access_commands: has no effect any more; use api_permissions
			warning: main.yml:6:47: listen[3].turn_ip: deprecated: use turn_ipv4_address
			warning: main.yml:6:66: listen[3].timeout: has no effect here
			warning: main.yml:7:5: listen[4].password: missing, so no component can attach
			warning: main.yml:7:54: listen[4].shaper_rule: deprecated: use shaper
			warning: main.yml:8:19: s2s_use_starttls: deprecated: means required, and that dialback is off; ejabberd wants required, and mod_s2s_dialback left out of modules
		`},
	})
}

func TestMistakesOfTLS(t *testing.T) {
	mistakes(t, []mistake{
		{"no certificate", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: ejabberd_c2s, starttls: true}
			  - {port: 2, module: ejabberd_c2s, starttls_required: true}
			  - {port: 3, module: ejabberd_c2s, tls: true}
			  - {port: 4, module: ejabberd_stun, tls: true}
		`, `
			main.yml:4:56: listen[1].starttls_required: there is no certificate, so nobody could log in; set certfiles at the top level
			main.yml:5:42: listen[2].tls: there is no certificate; set certfiles at the top level
			main.yml:6:43: listen[3].tls: there is no certificate; set certfile, or certfiles at the top level
			warning: main.yml:3:47: listen[0].starttls: there is no certificate, so STARTTLS is not offered; set certfiles at the top level
		`},
		{"missing file", `
			hosts: [example.org]
			certfiles:
			  - good.pem
			  - nowhere.pem
			listen:
			  - {port: 1, module: ejabberd_stun, tls: true, certfile: gone.pem}
			  - {port: 2, module: ejabberd_c2s, starttls: true, cafile: ca.pem}
		`, `
			main.yml:4:5: certfiles[1]: "nowhere.pem": no such file or directory
			main.yml:6:59: listen[0].certfile: "gone.pem": no such file or directory
			main.yml:7:61: listen[1].cafile: "ca.pem": no such file or directory
		`},
		{"mismatched key", `
			hosts: [example.org]
			certfiles: [mixed.pem]
			listen:
			  - {port: 1, module: ejabberd_c2s, tls: true}
			  - {port: 2, module: ejabberd_sip, tls: true, certfile: text.pem}
		`, `
			main.yml:2:13: certfiles[0]: "mixed.pem": the private key does not belong to the certificate of "example.org"
			main.yml:5:58: listen[1].certfile: "text.pem": no PEM certificate or private key in it
		`},
		{"options", `
			hosts: [example.org, example.net]
			certfiles: [good.pem]
			c2s_protocol_options: [no_tlsv1_2, no_tlsv1_3]
			host_config:
			  example.net:
			    c2s_ciphers: "NOTHING"
			    c2s_protocol_options: [no_sslv3]
			listen:
			  - {port: 1, module: ejabberd_c2s, tls: true}
			  - {port: 2, module: ejabberd_s2s_in, tls_compression: true, ciphers: 5}
			  - {port: 3, module: ejabberd_stun, tls: true, ciphers: HIGH}
			  - {port: 4, module: ejabberd_sip, tls: maybe}
		`, `
			main.yml:3:23: c2s_protocol_options: no_tlsv1_2 and no_tlsv1_3 leave no version of TLS; remove one
			main.yml:6:18: host_config["example.net"].c2s_ciphers: no cipher suite of TLS 1.2 is left; start with HIGH, or leave the option out
			main.yml:10:57: listen[1].tls_compression: crypto/tls has no compression; set it to false
			main.yml:10:72: listen[1].ciphers: want a string, got the number 5; put it in quotes
			main.yml:11:49: listen[2].ciphers: unknown option of ejabberd_stun
			main.yml:12:42: listen[3].tls: want true or false, got "maybe"
			warning: main.yml:1:22: hosts[1]: no certificate in certfiles is for example.net; clients that connect to it are shown another one
			warning: main.yml:6:18: host_config["example.net"].c2s_ciphers: crypto/tls has no cipher suite or class called "NOTHING"
		`},
	})
}

// TestMissingModules is a build that has the c2s listener alone.
func TestMissingModules(t *testing.T) {
	reg := NewRegistry(StreamKind("ejabberd_c2s", idle[c2sOptions]{}, c2sDefaults))
	got := problems(t, workspace(t), dedent(`
		hosts: [example.org]
		modules:
		  mod_mqtt: {}
		s2s_use_starttls: required
		listen:
		  - {port: 5269, module: ejabberd_s2s_in, shaper: x, anything: y}
		  - {port: 70000, module: ejabberd_http, request_handlers: {/: mod_nothing}, backlog: many}
		  - {port: 4560, module: ejabberd_xmlrpc}
		  - {port: 5222, module: ejabberd_c2s}
		  - {port: 5222, module: mod_mqtt}
	`), reg)
	want := dedent(`
		main.yml:6:26: listen[0].module: this build has no module ejabberd_s2s_in
		main.yml:7:12: listen[1].port: want an integer from 0 to 65535, got 70000
		main.yml:7:27: listen[1].module: this build has no module ejabberd_http
		main.yml:7:87: listen[1].backlog: want an integer from 0 to 65535, got "many"
		main.yml:8:26: listen[2].module: this build has no module ejabberd_xmlrpc
		main.yml:10:12: listen[4].port: tcp 0.0.0.0:5222 is taken by listen[3] (line 9)
		main.yml:10:26: listen[4].module: this build has no module mod_mqtt
		warning: main.yml:3:3: modules.mod_mqtt: known to ejabberd, has no effect here
		warning: main.yml:4:1: s2s_use_starttls: known to ejabberd, has no effect here
	`)
	if got != want {
		t.Errorf("problems\ngot:\n%s\nwant:\n%s", got, want)
	}
}
