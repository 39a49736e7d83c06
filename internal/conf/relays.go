package conf

import "reflect"

// relays warns of what a listener of ejabberd_stun with these options does that
// its file may not mean.
func (p *listeners) relays(s *socket, schema Schema) {
	n, o := s.node, reflect.ValueOf(s.Options)
	option := func(name string) reflect.Value {
		if f := schema.named(name); f != nil {
			return o.Field(f.index)
		}
		return reflect.Value{}
	}
	if on := option("use_turn"); !on.IsValid() || !on.Bool() {
		if v := n.Get("turn_blacklist"); v != nil {
			p.Warnf(v, "has no effect without use_turn: true")
		}
		return
	}
	addr := s.addr.Addr() // not that of a unix socket, nor of an entry with mistakes
	if n.Get("turn_ipv4_address") == nil && addr.IsUnspecified() {
		p.Warnf(n, "missing: peers reach relays at the address that this machine has towards the internet; "+
			"set it to the public address").about("turn_ipv4_address")
	}
	if option("auth_type").String() == "anonymous" {
		if addr.IsValid() && !addr.IsLoopback() && !addr.IsPrivate() && !addr.IsLinkLocalUnicast() {
			p.Warnf(n.Get("auth_type"), "everybody who reaches this port can relay traffic through this machine; use user")
		}
		return
	}
	if n.Get("auth_realm") == nil && len(p.Hosts) > 1 {
		p.Warnf(n, "missing: relays are for accounts of %s, the first of hosts", p.Hosts[0]).about("auth_realm")
	}
	p.relayAccounts(option("auth_realm").String())
}

// relayAccounts warns when accounts have no keys for TURN, and nobody hands out
// other credentials.
func (p *listeners) relayAccounts(realm string) {
	format := p.vhosts[realm].Get("auth_password_format")
	if format == nil {
		format = p.top.Get("auth_password_format")
	}
	if format != nil && format.Text == "scram" && !p.Listed("mod_stun_disco") {
		p.Warnf(format, "accounts of %s have no keys for TURN, so their passwords open no relays; "+
			"use plain, or time-limited credentials (mod_stun_disco)", realm)
	}
}
