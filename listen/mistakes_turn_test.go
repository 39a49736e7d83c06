package listen

import "testing"

func TestMistakesOfTURN(t *testing.T) {
	mistakes(t, []mistake{
		{"none", `
			hosts: [example.org]
			listen:
			  - {port: 1, transport: udp, module: ejabberd_stun}
			  - {port: 1, module: ejabberd_stun, shaper: none, send_timeout: 5 s}
			  - {port: 2, ip: 127.0.0.1, module: ejabberd_stun, use_turn: true, auth_type: anonymous}
			  - {port: 3, ip: 10.0.0.1, module: ejabberd_stun, turn_max_port: 60000}
			  - {port: 4, module: ejabberd_stun, turn_ipv4_address: "::ffff:192.0.2.1", auth_realm: Example.ORG}
		`, ``},
		{"implied and switched off", `
			hosts: [example.org]
			listen:
			  - port: 1
			    ip: 192.0.2.1
			    module: ejabberd_stun
			    use_turn: off
			    turn_min_port: 50000
			    turn_max_port: 65535
			    auth_type: user
			    turn_blacklist: 10.0.0.0/8
			    server_name: harbour
			  - {port: 2, module: ejabberd_stun, use_turn: perhaps, turn_min_port: 50000}
		`, `
			main.yml:12:48: listen[1].use_turn: want true or false, got "perhaps"
			warning: main.yml:7:20: listen[0].turn_min_port: has no effect with use_turn: off
			warning: main.yml:8:20: listen[0].turn_max_port: has no effect with use_turn: off
			warning: main.yml:9:16: listen[0].auth_type: has no effect with use_turn: off
			warning: main.yml:10:21: listen[0].turn_blacklist: has no effect without use_turn: true
		`},
		{"options that contradict one another", `
			hosts: [example.org]
			listen:
			  - port: 1
			    ip: 192.0.2.1
			    module: ejabberd_stun
			    turn_min_port: 60000
			    turn_max_port: 50000
			  - {port: 2, ip: 192.0.2.1, module: ejabberd_stun, turn_max_port: 49151}
			  - {port: 3, ip: 192.0.2.1, module: ejabberd_stun, turn_min_port: 50000, turn_max_port: 50000}
			  - {port: 4, ip: 192.0.2.1, module: ejabberd_stun, turn_ipv6_address: "2001:db8::1"}
			  - {port: 5, ip: 192.0.2.1, module: ejabberd_stun, server_name: nobody}
			  - {port: 6, ip: 192.0.2.1, module: ejabberd_stun, server_name: nobody, turn_max_port: 80}
		`, `
			main.yml:7:20: listen[0].turn_max_port: is less than the least port
			main.yml:8:68: listen[1].turn_max_port: is less than the least port
			main.yml:10:5: listen[3].turn_ipv4_address: must go with turn_ipv6_address here
			main.yml:11:5: listen[4]: wants to be nobody
			main.yml:12:89: listen[5].turn_max_port: want an integer from 1025 to 65535, got 80
		`},
		{"addresses", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: ejabberd_stun, turn_ip: 192.0.2.1}
			  - {port: 2, module: ejabberd_stun, turn_ipv4_address: "2001:db8::1", turn_ipv6_address: 192.0.2.1}
			  - {port: 3, ip: "::", module: ejabberd_stun, use_turn: true}
			  - {port: 4, ip: "::1", module: ejabberd_stun, use_turn: true}
			  - {port: 5, module: ejabberd_stun, turn_ipv4_address: 192.0.2.1, turn_alternate_server: 192.0.2.2}
			  - {port: 6, module: ejabberd_stun, turn_ipv4_address: 192.0.2.1, turn_alternate_server: "192.0.2.2:0"}
			  - {port: 7, module: ejabberd_stun, turn_ipv4_address: 192.0.2.1, turn_alternate_server: "turn.example.org:3478"}
			  - {port: 8, module: ejabberd_stun, turn_ipv4_address: 192.0.2.1, turn_blacklist: [10.1.2.3/8, "::1", 127.0.0.1, there]}
		`, `
			main.yml:4:57: listen[1].turn_ipv4_address: want an IPv4 address, got "2001:db8::1"
			main.yml:4:91: listen[1].turn_ipv6_address: want an IPv6 address, got "192.0.2.1"
			main.yml:7:91: listen[4].turn_alternate_server: want ADDRESS:PORT or [ADDRESS]:PORT, got "192.0.2.2"
			main.yml:8:91: listen[5].turn_alternate_server: want ADDRESS:PORT or [ADDRESS]:PORT, got "192.0.2.2:0"
			main.yml:9:91: listen[6].turn_alternate_server: want ADDRESS:PORT or [ADDRESS]:PORT, got "turn.example.org:3478"
			main.yml:10:115: listen[7].turn_blacklist[3]: want an address or ADDRESS/LENGTH, got "there"
			warning: main.yml:3:47: listen[0].turn_ip: deprecated: use turn_ipv4_address
			warning: main.yml:5:5: listen[2].turn_ipv4_address: missing: peers reach relays at the address that this machine has towards the internet; set it to the public address
		`},
		{"everybody", `
			hosts: [example.org]
			listen:
			  - {port: 1, module: ejabberd_stun, turn_ipv4_address: 192.0.2.1, auth_type: anonymous}
			  - {port: 2, ip: 192.0.2.1, module: ejabberd_stun, auth_type: anonymous}
			  - {port: 3, ip: "fd00::1", module: ejabberd_stun, auth_type: anonymous}
		`, `
			warning: main.yml:3:79: listen[0].auth_type: everybody who reaches this port can relay traffic through this machine; use user
			warning: main.yml:4:64: listen[1].auth_type: everybody who reaches this port can relay traffic through this machine; use user
		`},
		{"realms", `
			hosts: [example.org, example.net]
			listen:
			  - {port: 1, ip: 192.0.2.1, module: ejabberd_stun, use_turn: true}
			  - {port: 2, ip: 192.0.2.1, module: ejabberd_stun, auth_realm: exmaple.net}
			  - {port: 3, ip: 192.0.2.1, module: ejabberd_stun, auth_realm: "two words"}
			  - {port: 4, ip: 192.0.2.1, module: ejabberd_stun}
			  - {port: 5, ip: 127.0.0.1, module: ejabberd_stun, auth_type: anonymous}
		`, `
			main.yml:4:65: listen[1].auth_realm: exmaple.net is none of hosts (did you mean example.net?)
			main.yml:5:65: listen[2].auth_realm: "two words" is no domain
			warning: main.yml:3:5: listen[0].auth_realm: missing: relays are for accounts of example.org, the first of hosts
		`},
		{"accounts without keys", `
			hosts: [example.org, example.net]
			auth_password_format: scram
			host_config: {example.net: {auth_password_format: plain}}
			listen:
			  - {port: 1, ip: 192.0.2.1, module: ejabberd_stun, auth_realm: example.org}
			  - {port: 1, ip: 192.0.2.1, transport: udp, module: ejabberd_stun, auth_realm: example.org}
			  - {port: 2, ip: 192.0.2.1, module: ejabberd_stun, auth_realm: example.net}
			  - {port: 3, ip: 192.0.2.1, module: ejabberd_stun}
		`, `
			warning: main.yml:2:1: auth_password_format: known to ejabberd, has no effect here
			warning: main.yml:2:23: auth_password_format: accounts of example.org have no keys for TURN, so their passwords open no relays; use plain, or time-limited credentials (mod_stun_disco)
			warning: main.yml:3:29: host_config["example.net"].auth_password_format: known to ejabberd, has no effect here
		`},
		{"accounts without keys, and other credentials", `
			hosts: [example.org]
			host_config: {example.org: {auth_password_format: scram}}
			modules: {mod_stun_disco: {}}
			listen:
			  - {port: 1, ip: 192.0.2.1, module: ejabberd_stun, use_turn: true}
		`, `
			warning: main.yml:2:29: host_config["example.org"].auth_password_format: known to ejabberd, has no effect here
			warning: main.yml:3:11: modules.mod_stun_disco: known to ejabberd, has no effect here
		`},
		{"options of connections", `
			hosts: [example.org]
			certfiles: [good.pem]
			listen:
			  - {port: 1, transport: udp, module: ejabberd_stun, shaper: none, send_timeout: 5 s, certfile: good.pem}
			  - {port: 2, transport: udp, module: ejabberd_stun, shaper: 5.5, tls: true}
			  - {port: 3, module: ejabberd_stun, tls: true, ciphers: HIGH}
			  - {port: 4, module: ejabberd_stun, certfile: good.pem}
			  - {port: 5, module: ejabberd_stun, certfile: lagoon.pem}
		`, `
			main.yml:5:62: listen[1].shaper: want a number or the name of a shaper, got the number 5.5
			main.yml:5:72: listen[1].tls: there is no TLS with transport: udp: DTLS is not supported
			main.yml:6:49: listen[2].ciphers: unknown option of ejabberd_stun
			main.yml:8:48: listen[4].certfile: "lagoon.pem": no such file or directory
			warning: main.yml:4:62: listen[0].shaper: has no effect with transport: udp
			warning: main.yml:4:82: listen[0].send_timeout: has no effect with transport: udp
			warning: main.yml:4:97: listen[0].certfile: has no effect with transport: udp
			warning: main.yml:5:62: listen[1].shaper: has no effect with transport: udp
			warning: main.yml:7:48: listen[3].certfile: has no effect with tls: false
			warning: main.yml:8:48: listen[4].certfile: has no effect with tls: false
		`},
	})
}

// A datagram listener gets the sockets that its options ask for. What a file
// implies counts as written.
func TestOptionsThatImply(t *testing.T) {
	const src = `
hosts: [harbour.test, quay.test]
listen:
  - {port: 1, transport: udp, module: ejabberd_stun}
  - {port: 1, module: ejabberd_stun, turn_min_port: 49152, turn_ipv4_address: 192.0.2.1, auth_realm: QUAY.test}
`
	c, err := Parse("main.yml", []byte(src), testRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		turn    bool
		realm   string
		readers int
	}{{false, "harbour.test", 3}, {true, "quay.test", 0}} {
		e := c.Entries[i]
		o := e.Options.(stunOptions)
		if o.UseTURN != want.turn || o.AuthRealm != want.realm || e.Socket.Readers != want.readers {
			t.Errorf("entry %d: got TURN %t, realm %s, %d readers, want %+v", i, o.UseTURN, o.AuthRealm, e.Socket.Readers, want)
		}
	}
}
