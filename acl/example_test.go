package acl_test

import (
	"fmt"
	"net/netip"

	"github.com/tidewaiter/tidewaiter/acl"
)

func Example() {
	var p acl.Parser // with functions for names, if they are not canonical
	bad, err := p.Condition(acl.User, "bad")
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := acl.New(acl.Config{
		Hosts: []string{"example.com"},
		Global: acl.Tables{
			ACLs:  map[string][]acl.Condition{"blocked": {bad}},
			Rules: map[string]acl.Rules{"c2s": {acl.Deny(acl.Named("blocked")), acl.Allow()}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var ref acl.Ref
	ref.Store(set)
	c2s := ref.Rule("c2s") // for Options.Access
	for _, user := range []string{"bad", "good"} {
		s := acl.Subject{User: user, Server: "example.com", Host: "example.com"}
		fmt.Println(user, c2s.Allow(s))
	}
	// Output:
	// bad false
	// good true
}

func ExampleRef_Permits() {
	local, err := acl.Parser{}.Condition(acl.IP, "127.0.0.0/8")
	if err != nil {
		fmt.Println(err)
		return
	}
	count, err := acl.ParseCommandPattern("connected_users_number")
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := acl.New(acl.Config{Permissions: []acl.Group{{
		Name: "public commands",
		Who:  acl.Callers{Conditions: []acl.Condition{local}},
		What: []acl.CommandPattern{count},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var ref acl.Ref
	ref.Store(set)
	caller := acl.Subject{From: "ejabberd_xmlrpc", IP: netip.MustParseAddr("127.0.0.1")}
	fmt.Println(ref.Permits(caller, acl.Command{Name: "connected_users_number"}))
	fmt.Println(ref.Permits(caller, acl.Command{Name: "stop"}))
	// Output:
	// true
	// false
}
