package conf

import (
	"crypto/tls"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/shaper"
)

func TestSchemaRefusesBadTags(t *testing.T) {
	cases := []struct {
		name    string
		options any
		want    string
	}{
		{"no struct", 0, "int is not a struct"},
		{"no tag", struct{ A int }{}, "has no conf tag"},
		{"no name", struct {
			A int `conf:",inf"`
		}{}, "no option name"},
		{"not exported", struct {
			a int `conf:"a"`
		}{a: 1}, "not exported"},
		{"unknown flag", struct {
			A int `conf:"a,siz"`
		}{}, `unknown flag "siz"`},
		{"unknown flag with a value", struct {
			A int `conf:"a,mni=1"`
		}{}, "unknown flag mni"},
		{"bad number", struct {
			A int `conf:"a,min=one"`
		}{}, "is no number"},
		{"empty value", struct {
			A string `conf:"a,enum="`
		}{}, "flag enum= has no value"},
		{"flag of another type", struct {
			A int `conf:"a,inf"`
		}{}, "flag inf does not go with int"},
		{"domains of a list", struct {
			A []string `conf:"a,domains"`
		}{}, "flag domains does not go with []string"},
		{"direct number", struct {
			A int `conf:"a,direct"`
		}{}, "flag direct does not go with int"},
		{"host that is no text", struct {
			A int `conf:"a,host"`
		}{}, "flag host does not go with int"},
		{"implies nothing", struct {
			A int `conf:"a,implies=b"`
		}{}, "implies b, which is no bool option of the struct"},
		{"implies a number", struct {
			A int `conf:"a,implies=b"`
			B int `conf:"b"`
		}{}, "implies b, which is no bool option"},
		{"top-level key that implies", struct {
			A int  `conf:"a,top,implies=b"`
			B bool `conf:"b"`
		}{}, "flag implies does not go"},
		{"family of a prefix", struct {
			A netip.Prefix `conf:"a,ipv4"`
		}{}, "flag ipv4 or ipv6 does not go"},
		{"big milliseconds", struct {
			A time.Duration `conf:"a,ms,big=5"`
		}{}, "flag big does not go"},
		{"client of a text", struct {
			A string `conf:"a,client"`
		}{}, "flag client does not go with string"},
		{"client that asks", struct {
			A *tls.Config `conf:"tls,client,ask"`
		}{}, "flag client does not go"},
		{"global and top", struct {
			A int `conf:"a,global,top"`
		}{}, "flag global does not go"},
		{"unknown TLS option", struct {
			A *tls.Config `conf:"tls,cert"`
		}{}, `unknown TLS option "cert"`},
		{"twice", struct {
			A int `conf:"a"`
			B int `conf:"a"`
		}{}, "option a belongs to A already"},
		{"no decoder", struct {
			A chan int `conf:"a"`
		}{}, "no decoder for chan int"},
		{"keys of a map", struct {
			A map[int]string `conf:"a"`
		}{}, "a map needs string keys"},
		{"nested", struct {
			A []struct{ B int } `conf:"a"`
		}{}, "has no conf tag"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := schemaOf(reflect.TypeOf(c.options)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
		})
	}
}

func TestSchemaOfPanics(t *testing.T) {
	defer func() {
		if r := recover(); r != "conf: int is not a struct" {
			t.Errorf("got panic %v", r)
		}
	}()
	SchemaOf(func() int { return 0 })
}

func TestSchemaFields(t *testing.T) {
	type inner struct {
		Password string `conf:"password"`
	}
	type options struct {
		TLS    *tls.Config      `conf:"tls,certfile,prefix=c2s,alpn=a|b"`
		Access acl.Access       `conf:"access"`
		Shaper shaper.Rule      `conf:"max_user_sessions,rule"`
		Time   time.Duration    `conf:"time,ms,inf,min=0"`
		Nets   []netip.Prefix   `conf:"nets,all"`
		Hosts  map[string]inner `conf:"hosts"`
		Other  int              `conf:"-"`
	}
	s := SchemaOf(func() options { return options{Other: 5} })
	var names []string
	for _, f := range s.Fields() {
		names = append(names, f.Name)
	}
	if want := []string{"tls", "access", "max_user_sessions", "time", "nets", "hosts"}; !slices.Equal(names, want) {
		t.Errorf("got options %v, want %v", names, want)
	}
	if got := s.Fields()[0]; !slices.Equal(got.Keys, []string{"tls", "certfile"}) || !slices.Equal(got.alpn, []string{"a", "b"}) {
		t.Errorf("got TLS field %+v", got)
	}
	if n, ok := s.Fields()[5].Nested(); !ok || n.Fields()[0].Name != "password" {
		t.Errorf("got nested %+v, %t", n, ok)
	}
	if got := s.def().Field(6).Int(); got != 5 {
		t.Errorf("got a default of %d, want 5", got)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"max_stanza_size", "max_fsm_queue", "starttls", "tls", "b", "a", "allow_only"}
	for _, c := range []struct{ word, want string }{
		{"max_stanza_sise", "max_stanza_size"},
		{"strattls", "starttls"},
		{"tsl", ""},
		{"tlss", "tls"},
		{"allow", "allow_only"},
		{"nothing_like_it", ""},
		{"", ""},
		{strings.Repeat("x", 1000), ""},
	} {
		if got := Nearest(c.word, names); got != c.want {
			t.Errorf("%q: got %q, want %q", c.word, got, c.want)
		}
	}
	if got := Nearest("xb", []string{"xd", "xc"}); got != "xc" {
		t.Errorf("equally near: got %q, want the first in the alphabet", got)
	}
}
