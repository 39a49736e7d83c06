// Package host is the host that comes with the box: a router with its session
// table, the dispatch of IQ requests, and accounts, for programs that have no
// services of their own. Its parts satisfy the interfaces that the listener
// modules ask for, without importing a module; any of them can be replaced.
//
//	h, err := host.New(host.Config{Log: log})
//	…
//	m := c2s.New(c2s.Host{
//		Domains: h.Local, Router: h.Local, Session: h.Local,
//		SCRAM: h.Accounts, Password: h.Accounts,
//		Certificate: h.Accounts, Anonymous: h.Accounts, Token: h.Tokens,
//		IQ: h.IQ, PreAuthIQ: h.Register, Features: h.Register,
//		Log: log,
//	})
//
// Components and other servers reach the same router, and it reaches them:
//
//	c := component.New(component.Host{Router: h.Local, Events: h, Log: log})
//	s := s2s.New(s2s.Host{Domains: h.Local, Router: h.Local, Log: log})
//	h.Local.Next = s
//
// A TURN listener finds its users in h.TURN, and tells h.ExtDisco.SetLocal where it
// is, so that clients hear of it. h.Tokens has the OAuth tokens of the users, for all
// who let them in by one, and for who issues them (httpd/oauth). h.Commands has what
// can be called from outside; h.SetProcess adds what concerns the program around the
// host.
//
// Everything is kept in memory unless Config names other stores.
package host
