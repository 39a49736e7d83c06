// Package acl decides who may: access control lists, access rules and the
// permissions of commands, as ejabberd's options acl, access_rules and
// api_permissions define them.
//
// A [Set] holds the tables of one configuration and never changes. A [Ref]
// points to the current Set. Options hold an [Access], most often one that a
// Ref handed out: it follows the Ref, so a new Set applies to running sessions
// at once. Asking takes no lock and allocates nothing.
//
// A [Parser] turns the words of a configuration into conditions. It is given
// the functions that prepare names (RFC 7622), because this package knows
// nothing of XMPP:
//
//	p := acl.Parser{Names: acl.Normaliser{User: …, Server: …, Resource: …}}
//	bad, err := p.Condition(acl.User, "bad")
//	…
//	set, err := acl.New(acl.Config{
//		Hosts: []string{"example.com"},
//		Global: acl.Tables{
//			ACLs:  map[string][]acl.Condition{"blocked": {bad}},
//			Rules: map[string]acl.Rules{"c2s": {acl.Deny(acl.Named("blocked")), acl.Allow()}},
//		},
//	})
//	…
//	var ref acl.Ref
//	ref.Store(set)
//	options.Access = ref.Rule("c2s")
package acl
