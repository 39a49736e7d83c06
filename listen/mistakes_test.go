package listen

import "testing"

func TestMistakesOfOptions(t *testing.T) {
	mistakes(t, []mistake{
		{"none", `
			hosts: [example.org]
			listen: [{port: 5222, module: ejabberd_c2s}]
		`, ``},
		{"several in one file", `
			hosts: [example.org]
			listen:
			  - port: 5222
			    module: ejabberd_c2s
			    max_stanza_sise: 65536
			    send_timeout: soon
			    starttls: Yes
			  - port: 70000
			    module: ejabberd_s2s
			  - port: 5222
			    module: ejabberd_c2s
			loglevle: 4
		`, `
			main.yml:5:5: listen[0].max_stanza_sise: unknown option of ejabberd_c2s (did you mean max_stanza_size?)
			main.yml:6:19: listen[0].send_timeout: want seconds or a time with its unit such as 15 s or 500 ms, or infinity, got "soon"
			main.yml:7:15: listen[0].starttls: want true or false, got "Yes" (did you mean yes?)
			main.yml:8:11: listen[1].port: want an integer from 0 to 65535, got 70000
			main.yml:9:13: listen[1].module: unknown listening module "ejabberd_s2s" (did you mean ejabberd_c2s?)
			main.yml:10:11: listen[2].port: tcp 0.0.0.0:5222 is taken by listen[0] (line 3)
			main.yml:12:1: loglevle: unknown option (did you mean loglevel?)
		`},
		{"wrong types", `
			hosts: [example.org]
			listen:
			  - port: "5222"
			    module: ejabberd_c2s
			    starttls: 1
			    max_stanza_size: "65536"
			    max_fsm_queue: 0
			    access: {user: x}
			    shaper: {}
			    zlib: true
			  - port: https
			    module: ejabberd_service
			    password: 1234
			    hosts: [a.example]
			  - port: 0x50
			    module: ejabberd_stun
			    turn_ipv4_address: turn.example.org
			    turn_blacklist: [10.0.0.0/33, 127.0.0.1/8]
			    turn_min_port: 80
			    auth_type: users
			  - just a word
		`, `
			main.yml:3:11: listen[0].port: want an integer from 0 to 65535, got the string "5222"; remove the quotes
			main.yml:5:15: listen[0].starttls: want true or false, got the number 1
			main.yml:6:22: listen[0].max_stanza_size: want an integer from 1 to 2147483647, got the string "65536"; remove the quotes
			main.yml:7:20: listen[0].max_fsm_queue: want a positive integer, got 0
			main.yml:8:14: listen[0].access.user: want allow or deny, got "user"
			main.yml:9:13: listen[0].shaper: want a number, the name of a shaper or a list of both, got nothing
			main.yml:10:11: listen[0].zlib: this build has no stream compression (XEP-0138)
			main.yml:11:11: listen[1].port: want a port from 0 to 65535 or unix:PATH, got "https"
			main.yml:13:15: listen[1].password: want a string, got a number; put it in quotes
			main.yml:14:12: listen[1].hosts: want a map, got a list
			main.yml:15:11: listen[2].port: want an integer from 0 to 65535 in decimal notation, got 0x50
			main.yml:17:24: listen[2].turn_ipv4_address: want an IPv4 address, got "turn.example.org"
			main.yml:18:22: listen[2].turn_blacklist[0]: want an address or ADDRESS/LENGTH, got "10.0.0.0/33"
			main.yml:19:20: listen[2].turn_min_port: want an integer from 1025 to 65535, got 80
			main.yml:20:16: listen[2].auth_type: want user or anonymous, got "users" (did you mean user?)
			main.yml:21:5: listen[3]: want a map of options, got "just a word"
		`},
		{"timeouts", `
			hosts: [example.org]
			negotiation_timeout: infinity
			listen:
			  - {port: 1, module: ejabberd_c2s, send_timeout: 15000}
			  - {port: 2, module: ejabberd_c2s, send_timeout: 15}
			  - {port: 3, module: ejabberd_c2s, send_timeout: 500 ms}
			  - {port: 4, module: ejabberd_c2s, send_timeout: 2 fortnights}
			  - {port: 5, module: ejabberd_c2s, send_timeout: 0}
			  - {port: 6, module: ejabberd_c2s, send_timeout: -1}
			  - {port: 7, module: ejabberd_c2s, send_timeout: infinite}
			  - {port: 8, module: ejabberd_c2s, send_timeout: 99999999999999999999}
			  - {port: 9, module: ejabberd_c2s, send_timeout: 1.5}
		`, `
			main.yml:2:22: negotiation_timeout: want seconds or a time with its unit such as 15 s or 500 ms, got "infinity"
			main.yml:7:51: listen[3].send_timeout: unknown unit of time "fortnights"; use ms, s, min, h or d
			main.yml:8:51: listen[4].send_timeout: want seconds or a time with its unit such as 15 s or 500 ms, or infinity, got 0
			main.yml:9:51: listen[5].send_timeout: want seconds or a time with its unit such as 15 s or 500 ms, or infinity, got -1
			main.yml:11:51: listen[7].send_timeout: want seconds or a time with its unit such as 15 s or 500 ms, or infinity, got the number 99999999999999999999
			main.yml:12:51: listen[8].send_timeout: want seconds or a time with its unit such as 15 s or 500 ms, or infinity, got the number 1.5
			warning: main.yml:4:51: listen[0].send_timeout: 15000 is taken for milliseconds; write 15000 ms, or 15000 s for seconds
		`},
		{"sizes and counts", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: ejabberd_c2s, max_stanza_size: infinity, max_stanza_elements: unlimited}
			  - {port: 2, module: ejabberd_c2s, max_stanza_size: 0, max_stanza_elements: many}
			  - {port: 3, module: ejabberd_c2s, max_stanza_size: 99999999999}
		`, `
			main.yml:4:54: listen[1].max_stanza_size: want an integer from 1 to 2147483647, got 0
			main.yml:4:78: listen[1].max_stanza_elements: want an integer from 1 to 2147483647, got "many"
			main.yml:5:54: listen[2].max_stanza_size: want an integer from 1 to 2147483647, got 99999999999
			warning: main.yml:3:54: listen[0].max_stanza_size: infinity means 16777216 bytes here; write a number
			warning: main.yml:3:85: listen[0].max_stanza_elements: unlimited means 10000 here; write a number
		`},
		{"top level", `
			hosts: [example.org, EXAMPLE.ORG, "a b"]
			modules:
			  mod_mqtt: {max_que: 4}
			  mod_roster: {}
			  mod_rooster: {}
			  mod_irc: {}
			host_config:
			  exampel.org: {}
			  example.org:
			    listen: []
			    negotiation_timeout: 5
			    max_fsm_queue: 10
			    auth_method: internal
			    resource_conflict: closenever
			    nonsense: 1
			auth_method: internal
			resource_conflict: [closenew]
			iqdisc: one_queue
			access: {}
			trusted_proxy: all
			port: 5222
		`, `
			main.yml:1:22: hosts[1]: example.org is listed already
			main.yml:1:35: hosts[2]: "a b" is no domain
			main.yml:3:14: modules.mod_mqtt.max_que: unknown option of mod_mqtt (did you mean max_queue?)
			main.yml:5:3: modules.mod_rooster: unknown module (did you mean mod_roster?)
			main.yml:8:3: host_config["exampel.org"]: "exampel.org" is none of the virtual hosts (did you mean example.org?)
			main.yml:10:5: host_config["example.org"].listen: is for the whole server and cannot be set for one virtual host
			main.yml:11:5: host_config["example.org"].negotiation_timeout: is for the whole server and cannot be set for one virtual host
			main.yml:14:24: host_config["example.org"].resource_conflict: want setresource, closeold, closenew or acceptnew, got "closenever" (did you mean closenew?)
			main.yml:15:5: host_config["example.org"].nonsense: unknown option
			main.yml:17:20: resource_conflict: want a string, got a list
			main.yml:20:1: trusted_proxy: unknown option (did you mean trusted_proxies?)
			main.yml:21:1: port: unknown option
			warning: main.yml:4:3: modules.mod_roster: known to ejabberd, has no effect here
			warning: main.yml:6:3: modules.mod_irc: has no effect any more
			warning: main.yml:12:5: host_config["example.org"].max_fsm_queue: has no effect for single virtual hosts here
			warning: main.yml:13:5: host_config["example.org"].auth_method: known to ejabberd, has no effect here
			warning: main.yml:16:1: auth_method: known to ejabberd, has no effect here
			warning: main.yml:18:1: iqdisc: has no effect any more
			warning: main.yml:19:1: access: has no effect any more; use access_rules
		`},
		{"wrong shapes", `
			hosts: example.org
			host_config:
			  localhost: 5
			append_host_config: [x]
			modules:
			  mod_mqtt: 5
			listen: 5
			certfiles: [5, ""]
			domain_certfile: good.pem
			commands: []
			ca_path: x
			ldap_user_cache_size: 1
			ldap_user_cache_validity: 1
			route_subdomains: local
		`, `
			main.yml:1:8: hosts: want a list of domains, got "example.org"
			main.yml:3:14: host_config.localhost: want a map of options, got the number 5
			main.yml:4:21: append_host_config: want a map of virtual hosts, got a list
			main.yml:6:13: modules.mod_mqtt: want a map of options, got the number 5
			main.yml:7:9: listen: want a list of listeners, got the number 5
			main.yml:8:13: certfiles[0]: want a string, got the number 5; put it in quotes
			main.yml:8:16: certfiles[1]: empty path
			warning: main.yml:9:18: domain_certfile: deprecated: use certfiles
			warning: main.yml:10:1: commands: has no effect any more; use api_permissions
			warning: main.yml:11:1: ca_path: has no effect any more; use ca_file
			warning: main.yml:12:1: ldap_user_cache_size: has no effect any more; use cache_size
			warning: main.yml:13:1: ldap_user_cache_validity: has no effect any more; use cache_life_time
			warning: main.yml:14:1: route_subdomains: has no effect any more; use s2s_access
		`},
		{"one value of a virtual host twice", `
			hosts: [example.org]
			host_config:
			  example.org: {language: fr}
			  Example.ORG: {language: de}
			append_host_config:
			  example.org: {language: it, outgoing_s2s_families: ipv7, modules: []}
		`, `
			main.yml:4:3: host_config["Example.ORG"]: example.org is listed already
			main.yml:6:54: append_host_config["example.org"].outgoing_s2s_families: want ipv4 or ipv6, got "ipv7" (did you mean ipv4?)
		`},
		{"options in the wrong place", `
			hosts: [example.org]
			starttls: true
			listen:
			  - port: 5222
			    module: ejabberd_c2s
			    negotiation_timeout: 5
			    resource_conflict: closenew
			    use_turn: true
		`, `
			main.yml:2:1: starttls: unknown option
			main.yml:6:5: listen[0].negotiation_timeout: is an option of the top level and not of ejabberd_c2s
			main.yml:7:5: listen[0].resource_conflict: is an option of the top level and not of ejabberd_c2s
			main.yml:8:5: listen[0].use_turn: unknown option of ejabberd_c2s
		`},
		{"modules of listeners", `
			hosts: [example.org]
			listen:
			  - {port: 1}
			  - {port: 2, module: ejabberd_c2}
			  - {port: 3, module: mod_roster}
			  - {port: 4, module: mod_bosh}
			  - {port: 5, module: 5}
			  - {module: ejabberd_c2s}
			  - {port: 6, module: mod_mqtt}
		`, `
			main.yml:3:5: listen[0].module: missing
			main.yml:4:23: listen[1].module: unknown listening module "ejabberd_c2" (did you mean ejabberd_c2s?)
			main.yml:5:23: listen[2].module: mod_roster is no listening module
			main.yml:6:23: listen[3].module: mod_bosh is a request handler of ejabberd_http and no listening module
			main.yml:7:23: listen[4].module: want a string, got the number 5; put it in quotes
			main.yml:8:5: listen[5].port: missing
			warning: main.yml:9:23: listen[6].module: mod_mqtt is not in modules, which ejabberd needs: modules: {mod_mqtt: {}}; its defaults apply on all virtual hosts
		`},
		{"request handlers", `
			hosts: [example.org]
			listen:
			  - port: 5280
			    module: ejabberd_http
			    request_handlers:
			      /bosh: mod_bosch
			      /api: mod_http_api
			      /x: {}
		`, `
			main.yml:6:14: listen[0].request_handlers["/bosh"]: want mod_bosh, ejabberd_web_admin, ejabberd_http_ws, ejabberd_xmlrpc or mod_mqtt, got "mod_bosch" (did you mean mod_bosh?)
			main.yml:7:13: listen[0].request_handlers["/api"]: this build has no request handler mod_http_api
			main.yml:8:11: listen[0].request_handlers["/x"]: want a string, got a map
		`},
		{"nested structs", `
			hosts: [example.org]
			listen:
			  - port: 1
			    module: echo
			    bits: 0
			    steps: [1, two, 3]
			    nested:
			      - {name: a, nets: 10.0.0.0/8}
			      - {nam: b}
			      - c
		`, `
			main.yml:5:11: listen[0].bits: want a positive integer, got 0
			main.yml:6:16: listen[0].steps[1]: want an integer, got "two"
			main.yml:9:10: listen[0].nested[1].nam: unknown option of this map (did you mean name?)
			main.yml:10:9: listen[0].nested[2]: want a map, got "c"
		`},
	})
}

func TestMistakesOfYAML(t *testing.T) {
	mistakes(t, []mistake{
		{"syntax", "hosts:\n  - example.org\n listen: []\n", `
			main.yml:3:2: YAML: did not find expected key
		`},
		{"unclosed", "hosts: [example.org\nlisten: []\n", `
			main.yml:1:1: YAML: did not find expected ',' or ']'
		`},
		{"quote", "hosts: [example.org]\nlanguage: \"en\nloglevel: 4\n", `
			main.yml:2:1: YAML: found unexpected end of stream
		`},
		{"tab", "hosts:\n\t- example.org\n", `
			main.yml:2:4: YAML: found character that cannot start any token
		`},
		{"anchor", "hosts: [example.org]\nlanguage: *en\n", `
			main.yml:2:1: YAML: unknown anchor 'en' referenced
		`},
		{"second document", "hosts: [example.org]\n---\nlanguage: en\n", `
			main.yml:2:1: a second YAML document: only one is read
		`},
		{"list at the top", "- hosts\n", `
			main.yml:1:1: want a map of options at the top, got a list
		`},
		{"duplicate key", "hosts: [example.org]\nlisten:\n  - port: 1\n    module: echo\n    port: 2\nhosts: [a.example]\n", `
			main.yml:5:5: listen[0].port: already set on line 3
			main.yml:6:1: hosts: already set on line 1
		`},
		{"merge key", "hosts: [example.org]\nlisten:\n  - &a {port: 1, module: echo}\n  - {<<: *a, port: 2}\n", `
			main.yml:4:5: listen[1].module: missing
			main.yml:4:6: listen[1]["<<"]: merge keys are not supported: write the options out, or use define_macro
		`},
		{"tags", "hosts: [example.org]\nlanguage: !en de\nlisten: !!set {}\n", `
			main.yml:2:11: language: the tag !en is not supported
			main.yml:3:9: listen: the tag !!set is not supported
			main.yml:3:9: listen: want a list of listeners, got a map
		`},
		{"complex key", "hosts: [example.org]\n? [a, b]\n: c\n~: d\n", `
			main.yml:2:3: a key must be a word, not a list
			main.yml:4:1: a key must be a word, not nothing
		`},
		{"control character", "hosts: [example.org]\nlanguage: e\x01n\n", `
			main.yml:2:12: control character or invalid UTF-8
		`},
		{"not UTF-8", "hosts: [example.org]\nlanguage: \xff\n", `
			main.yml:2:11: control character or invalid UTF-8
		`},
		{"aliases are fine", "hosts: [example.org]\nlisten:\n  - &a {port: 1, module: echo, bits: 3}\n  - *a\n", `
			main.yml:3:15: listen[1].port: tcp 0.0.0.0:1 is taken by listen[0] (line 3)
		`},
		{"anchor in itself", "hosts: [example.org]\nlisten: &a [*a]\n", `
			main.yml:2:13: listen[0]: want a map of options, got a list
			main.yml:2:13: listen[0][0]: the anchor a contains itself
		`},
		{"alias bomb", bomb(), `
			main.yml:8:12: aliases make the configuration too large
		`},
		{"deep", "hosts: [example.org]\nacl: " + repeat("[", 70) + repeat("]", 70) + "\n", `
			main.yml:2:70: nested deeper than 64
		`},
		{"empty", "", `
			warning: main.yml:1:1: hosts: no virtual hosts: localhost is served
		`},
		{"comments only", "# nothing\n", `
			warning: main.yml:1:1: hosts: no virtual hosts: localhost is served
		`},
	})
}

func repeat(s string, n int) string {
	out := ""
	for range n {
		out += s
	}
	return out
}

// bomb is a file whose aliases stand for ten to the ninth values.
func bomb() string {
	out := "hosts: [example.org]\ndefine_macro:\n  A0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := '1'; i <= '9'; i++ {
		prev := "*a" + string(i-1)
		out += "  A" + string(i) + ": &a" + string(i) + " [" + prev
		out += repeat(", "+prev, 9) + "]\n"
	}
	return out
}

func TestMistakesOfIncludesAndMacros(t *testing.T) {
	mistakes(t, []mistake{
		{"include", `
			hosts: [example.org]
			include_config_file: acl.yml
			listen:
			  - {port: 2, module: echo, bits: 0}
			access_rules:
			  admin: {allow: admin}
		`, `
			main.yml:4:35: listen[1].bits: want a positive integer, got 0
			warning: acl.yml:5:1: loglevel: known to ejabberd, has no effect here
		`},
		{"include loop", `
			hosts: [example.org]
			include_config_file: loop.yml
		`, `
			loop.yml:1:22: include_config_file: "main.yml" includes itself
		`},
		{"missing and broken files", `
			hosts: [example.org]
			include_config_file:
			  - nowhere.yml
			  - broken.yml
			  - /
			  - [a]
			  - 5
		`, `
			broken.yml:2:3: YAML: did not find expected ',' or '}'
			main.yml:3:5: include_config_file[0]: cannot read the included file: open nowhere.yml: no such file or directory
			main.yml:5:5: include_config_file[2]: cannot read the included file: read /: is a directory
			main.yml:6:5: include_config_file[3]: want the path of a file, got a list
			main.yml:7:5: include_config_file[4]: want the path of a file, got the number 5
		`},
		{"limits", `
			hosts: [example.org]
			include_config_file:
			  - acl.yml: {allow_only: [acl]}
			  - acl.yml: {disallow: [acl, listen]}
			  - acl.yml: {allow: [acl]}
			  - acl.yml: {disallow: acl}
			  - acl.yml: [a]
		`, `
			main.yml:5:15: include_config_file[2]["acl.yml"].allow: unknown option of include_config_file (did you mean allow_only?)
			main.yml:6:25: include_config_file[3]["acl.yml"].disallow: want a list of options, got "acl"
			main.yml:7:14: include_config_file[4]["acl.yml"]: want allow_only or disallow with a list of options, got a list
			warning: acl.yml:1:1: acl: not taken from this file, by include_config_file on line 4 of main.yml
			warning: acl.yml:3:1: listen: not taken from this file, by include_config_file on line 3 of main.yml
			warning: acl.yml:3:1: listen: not taken from this file, by include_config_file on line 4 of main.yml
			warning: acl.yml:5:1: loglevel: known to ejabberd, has no effect here
			warning: acl.yml:5:1: loglevel: not taken from this file, by include_config_file on line 3 of main.yml
		`},
		{"set twice", `
			hosts: [example.org]
			loglevel: 3
			include_config_file: acl.yml
			acl: {admin: {user: x}}
		`, `
			acl.yml:5:1: loglevel: already set in main.yml:2
			main.yml:4:7: acl.admin: already set in acl.yml:2
			warning: main.yml:2:1: loglevel: known to ejabberd, has no effect here
		`},
		{"macros", `
			hosts: [example.org]
			define_macro:
			  PORT: 5222
			  BAD: many
			  A: B
			  B: [A]
			  "a-b": 1
			  LIST: [1]
			listen:
			  - {port: PORT, module: echo, bits: BAD}
			  - {port: "@PORT@", ip: "::", module: echo, greeting: "x@PORT@y@LIST@"}
			host_config:
			  example.org:
			    define_macro: {X: 1}
		`, `
			main.yml:5:6: define_macro.A: the macro A contains itself
			main.yml:7:3: define_macro.a-b: the name of a macro has letters, digits and _ only
			main.yml:10:38: listen[0].bits: want a positive integer, got "many"
			main.yml:11:56: listen[1].greeting: the macro LIST is a list and cannot be part of a text
			main.yml:14:5: host_config["example.org"].define_macro: is for the whole server and cannot be set for one virtual host
		`},
		{"keywords", `
			define_keyword:
			  DOMAIN: example.org
			  NUM: 0
			  LIST: [a]
			hosts: ["@DOMAIN@"]
			listen:
			  - {port: 1, module: echo, bits: "@NUM@", greeting: "@HOST@ @DOMAIN@"}
		`, `
			main.yml:4:9: define_keyword.LIST: the value of a keyword is a word or a number, not a list
			main.yml:5:9: hosts[0]: "@DOMAIN@" is no domain
			main.yml:7:35: listen[0].bits: want a positive integer, got 0
		`},
	})
}
