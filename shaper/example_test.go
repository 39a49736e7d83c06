package shaper_test

import (
	"fmt"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/shaper"
)

func Example() {
	acls, err := acl.New(acl.Config{
		Global: acl.Tables{ACLs: map[string][]acl.Condition{"admin": nil}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := shaper.New(shaper.Config{
		Shapers: map[string]shaper.Rate{"normal": {BytesPerSecond: 1000, Burst: 20000}},
		Rules: map[string]shaper.Rules{
			"c2s_shaper": {
				{Value: shaper.Named("none"), If: []acl.Condition{acl.Named("admin")}},
				{Value: shaper.Named("normal")},
			},
			"max_user_sessions": {{Value: shaper.Number(10)}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var aclRef acl.Ref
	aclRef.Store(acls)
	ref := shaper.NewRef(&aclRef)
	ref.Store(set)
	s := acl.Subject{User: "ana", Server: "example.com", Host: "example.com"}
	fmt.Println(ref.Rule("c2s_shaper").Rate(s)) // for Options.Shaper, shaper.NewConn or shaper.NewBucket
	fmt.Println(ref.Rule("max_user_sessions").Limit(s))
	// Output:
	// 1000 B/s, burst 20000 B
	// 10 true
}
