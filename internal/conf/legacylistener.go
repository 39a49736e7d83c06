package conf

import (
	"slices"
)

// modern returns a listener with deprecated options in their modern form, and
// the name of its module ("" if there is none). What it changes it warns of.
func (p *listeners) modern(n *Node) (*Node, string) {
	module := n.Get("module")
	if module == nil {
		p.Missing(n, "module")
		return n, ""
	}
	name, ok := p.String(module)
	if !ok {
		return n, ""
	}
	for _, key := range []string{"inet", "inet6"} {
		if v := n.Get(key); v != nil {
			p.Warnf(v, "has no effect any more; use ip")
			n = n.Without(key)
		}
	}
	switch name {
	case "ejabberd_c2s", "ejabberd_s2s_in", "ejabberd_http":
		if v := n.Get("certfile"); v != nil {
			p.Warnf(v, "deprecated: use certfiles at the top level")
		}
		if name == "ejabberd_http" {
			n = p.handlerSwitches(n)
		}
	case "ejabberd_stun":
		n = p.renamed(n, "turn_ip", "turn_ipv4_address")
	case "ejabberd_service":
		n = p.renamed(n, "shaper_rule", "shaper")
	case "ejabberd_xmlrpc":
		return p.xmlrpc(n)
	}
	return n, name
}

// renamed gives an option its new name, unless that is there already.
func (p *listeners) renamed(n *Node, from, to string) *Node {
	v := n.Get(from)
	if v == nil {
		return n
	}
	p.Warnf(v, "deprecated: use %s", to)
	n = n.Without(from)
	if n.Get(to) == nil {
		n = n.With(to, v)
	}
	return n
}

// handlerSwitches turns the booleans of old ejabberd_http listeners into
// request handlers.
func (p *listeners) handlerSwitches(n *Node) *Node {
	for _, old := range []struct{ key, path, handler string }{
		{"captcha", "/captcha", "ejabberd_captcha"},
		{"register", "/register", "mod_register_web"},
		{"web_admin", "/admin", "ejabberd_web_admin"},
		{"http_bind", "/bosh", "mod_bosh"},
		{"http_poll", "", ""},
		{"xmlrpc", "/", "ejabberd_xmlrpc"},
	} {
		v := n.Get(old.key)
		if v == nil {
			continue
		}
		n = n.Without(old.key)
		on, _ := p.Bool(v)
		if old.path == "" {
			p.Warnf(v, "has no effect any more")
			continue
		}
		p.Warnf(v, "deprecated: use request_handlers: {%s: %s}", old.path, old.handler)
		if on {
			n = withHandler(n, v, old.path, old.handler)
		}
	}
	return n
}

// withHandler adds a request handler, unless the path has one.
func withHandler(n, at *Node, path, handler string) *Node {
	handlers := n.Get("request_handlers")
	if handlers == nil || handlers.Kind != Map {
		handlers = NewMap(at)
	}
	if handlers.Get(path) == nil {
		handlers = handlers.With(path, NewString(at, handler))
	}
	return n.With("request_handlers", handlers)
}

// xmlrpc makes an ejabberd_http listener, with XML-RPC on every path, of an
// ejabberd_xmlrpc listener. That has no options but those of its socket.
func (p *listeners) xmlrpc(n *Node) (*Node, string) {
	module := n.Get("module")
	if v := n.Get("access_commands"); v != nil {
		p.Warnf(v, "has no effect any more; use api_permissions")
		n = n.Without("access_commands")
	}
	if _, ok := p.Kinds["ejabberd_http"]; !ok {
		return n, "ejabberd_xmlrpc"
	}
	p.Warnf(module, "deprecated: use ejabberd_http with request_handlers: {/: ejabberd_xmlrpc}")
	for _, pair := range n.Map {
		if !slices.Contains(SocketOptions(), pair.Key.Text) {
			p.Errorf(pair.Key, "unknown option of ejabberd_xmlrpc").meant(pair.Key.Text, SocketOptions())
			n = n.Without(pair.Key.Text)
		}
	}
	n = n.With("module", NewString(module, "ejabberd_http"))
	return withHandler(n, module, "/", "ejabberd_xmlrpc"), "ejabberd_http"
}

// setupTimeout reads the option timeout, which once bounded the setup of a
// connection in milliseconds. It stands in for negotiation_timeout.
func (p *listeners) setupTimeout(n *Node, kind ListenerKind) map[string]*Node {
	const modern = "negotiation_timeout"
	for _, f := range kind.Schema.Fields() {
		if f.Name == modern {
			p.Warnf(n, "deprecated: use %s at the top level", modern)
			return map[string]*Node{modern: n}
		}
	}
	p.Warnf(n, "has no effect here")
	return nil
}
