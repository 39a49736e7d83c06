package extdisco

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// credentials are replaced in answers, as their values are for another test.
var credentials = regexp.MustCompile(` username='[^']+' password='[^']+'`)

// XEP-0215, sections 3.1 to 3.3, in both versions.
func TestRequests(t *testing.T) {
	const (
		get, ro, a = "get", "romeo@a.test/x", "a.test"

		stunA  = "<service host='stun.a.test' port='3478' transport='udp' type='stun'/>"
		turnA  = "<service host='turn.a.test' port='3478' transport='udp' type='turn' CREDENTIALS restricted='true' expires='2000-01-01T12:00:00Z'/>"
		turnsA = "<service host='turn.a.test' port='443' transport='tcp' type='turns' CREDENTIALS restricted='true' expires='2000-01-01T12:00:00Z'/>"

		// The first version has neither of these attributes.
		turnA1  = "<service host='turn.a.test' port='3478' transport='udp' type='turn' CREDENTIALS/>"
		turnsA1 = "<service host='turn.a.test' port='443' transport='tcp' type='turns' CREDENTIALS/>"
	)
	services := func(attrs, content string) string {
		return "<services xmlns='" + NS + "'" + attrs + ">" + content + "</services>"
	}
	services1 := func(attrs, content string) string {
		return "<services xmlns='" + NS1 + "'" + attrs + ">" + content + "</services>"
	}
	wants := func(content string) string { return "<credentials xmlns='" + NS + "'>" + content + "</credentials>" }
	wants1 := func(content string) string { return "<credentials xmlns='" + NS1 + "'>" + content + "</credentials>" }
	tests := []struct{ name, typ, from, to, payload, want string }{
		{"all", get, ro, a, services("", ""), services("", stunA+turnA+turnsA)},
		{"all, first version", get, ro, a, services1("", ""), services1("", stunA+turnA1+turnsA1)},
		{"of a type", get, ro, a, services(" type='turn'", ""), services(" type='turn'", turnA)},
		{"of another type", get, ro, a, services(" type='stun'", ""), services(" type='stun'", stunA)},
		{"of a type, first version", get, ro, a, services1(" type='turns'", ""), services1(" type='turns'", turnsA1)},
		{"of a type that there is none of", get, ro, a, services(" type='ftp'", ""), services(" type='ftp'", "")},
		{"of a type that has to be escaped", get, ro, a, services(` type="'&lt;"`, ""), services(" type='&apos;&lt;'", "")},
		{"set", "set", ro, a, services("", ""), "not-allowed"},
		{"where it is off", get, "romeo@off.test/x", "off.test", services("", ""), "service-unavailable"},
		{"a user of another domain", get, "romeo@b.test/x", a, services("", ""), "forbidden"},
		{"another server", get, "b.test", a, services("", ""), "forbidden"},
		{"the server itself", get, a, a, services("", ""), "forbidden"},

		{"credentials", get, ro, a, wants("<service host='turn.a.test' type='turn'/>"), wants(turnA)},
		{"credentials for another spelling", get, ro, a, wants("<service host='TURN.a.test' type='turn'/>"), wants(turnA)},
		{"credentials of a port", get, ro, a, wants("<service host='turn.a.test' type='turns' port='443'/>"), wants(turnsA)},
		{"credentials of a transport", get, ro, a, wants("<service host='turn.a.test' type='turns' transport='tcp'/>"), wants(turnsA)},
		{"credentials of two services", get, ro, a, wants("<service host='turn.a.test' type='turns'/><service host='turn.a.test' type='turn'/>"), wants(turnA + turnsA)},
		{"credentials of one service twice", get, ro, a, wants("<service host='turn.a.test' type='turn'/><service host='turn.a.test' type='turn'/>"), wants(turnA)},
		{"credentials, first version", get, ro, a, wants1("<service host='turn.a.test'/>"), wants1(turnA1 + turnsA1)},
		{"credentials of a type, first version", get, ro, a, wants1("<service host='turn.a.test' type='turn'/>"), wants1(turnA1)},
		{"credentials of another host", get, ro, a, wants("<service host='other.test' type='turn'/>"), "item-not-found"},
		{"credentials of another port", get, ro, a, wants("<service host='turn.a.test' type='turn' port='1'/>"), "item-not-found"},
		{"credentials of another transport", get, ro, a, wants("<service host='turn.a.test' type='turn' transport='tcp'/>"), "item-not-found"},
		{"credentials of another type", get, ro, a, wants("<service host='turn.a.test' type='stun'/>"), "item-not-found"},
		{"credentials where none are needed", get, ro, a, wants("<service host='stun.a.test' type='stun'/>"), "item-not-found"},
		{"credentials without a host", get, ro, a, wants("<service type='turn'/>"), "bad-request"},
		{"credentials without a type", get, ro, a, wants("<service host='turn.a.test'/>"), "bad-request"},
		{"credentials without a host, first version", get, ro, a, wants1("<service type='turn'/>"), "bad-request"},
		{"credentials of nothing", get, ro, a, wants(""), "bad-request"},
		{"credentials of something else", get, ro, a, wants("<service xmlns='urn:x' host='turn.a.test' type='turn'/>"), "bad-request"},
		{"credentials of no port", get, ro, a, wants("<service host='turn.a.test' type='turn' port='x'/>"), "bad-request"},
		{"credentials of port 0", get, ro, a, wants("<service host='turn.a.test' type='turn' port='0'/>"), "bad-request"},
		{"credentials of a port too large", get, ro, a, wants("<service host='turn.a.test' type='turn' port='65536'/>"), "bad-request"},
		{"credentials of many", get, ro, a, wants(strings.Repeat("<service host='turn.a.test' type='turn'/>", maxServices)), wants(turnA)},
		{"credentials of too many", get, ro, a, wants(strings.Repeat("<service host='turn.a.test' type='turn'/>", maxServices+1)), "policy-violation"},
		{"credentials set", "set", ro, a, wants("<service host='turn.a.test' type='turn'/>"), "not-allowed"},
		{"credentials for a stranger", get, "romeo@b.test/x", a, wants("<service host='turn.a.test' type='turn'/>"), "forbidden"},
		{"credentials where it is off", get, "romeo@off.test/x", "off.test", wants("<service host='turn.a.test' type='turn'/>"), "service-unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // whose clock starts at midnight of 2000-01-01, UTC
				s, _ := newService(func(o *Options) {
					o.Services = append(o.Services, External{Host: "turn.a.test", Port: 443, Type: "turns"})
				})
				got := credentials.ReplaceAllString(ask(t, s, tt.typ, tt.from, tt.to, tt.payload), " CREDENTIALS")
				if got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

func TestAccess(t *testing.T) {
	tests := []struct {
		name   string
		access acl.Access
		from   string
		want   bool
	}{
		{"default, user", Defaults().Access, "romeo@a.test/x", true},
		{"default, user elsewhere", Defaults().Access, "romeo@b.test/x", false},
		{"default, no user", Defaults().Access, "a.test", false},
		{"all, user elsewhere", acl.All, "romeo@b.test/x", true},
		{"none", acl.None, "romeo@a.test/x", false},
		{"nil", nil, "romeo@a.test/x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(func(o *Options) { o.Access = tt.access })
			got := ask(t, s, "get", tt.from, "a.test", "<services xmlns='"+NS+"'/>")
			if allowed := got != string(stanza.Forbidden); allowed != tt.want {
				t.Errorf("got %s, want access: %t", got, tt.want)
			}
		})
	}
}
