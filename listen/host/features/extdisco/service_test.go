package extdisco

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pion "github.com/pion/turn/v2"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// offers returns what a user of a.test gets.
func offers(t *testing.T, s *Service, user string) []Offer {
	t.Helper()
	list, err := s.Offers("a.test", jid(t, user), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// texts writes offers without their credentials.
func texts(list []Offer) (all []string) {
	for _, o := range list {
		s := fmt.Sprintf("%s %s:%d %s", o.Type, o.Host, o.Port, o.Transport)
		if o.Restricted {
			s += " restricted"
		}
		all = append(all, s)
	}
	return all
}

func wantTexts(t *testing.T, list []Offer, want ...string) {
	t.Helper()
	if got := texts(list); !slices.Equal(got, want) {
		t.Errorf("got offers\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// The defaults of mod_stun_disco.
func TestExternal(t *testing.T) {
	s, lines := newService(func(o *Options) {
		o.Services = []External{
			{Host: "h"}, {Host: "h", Type: "turn"}, {Host: "h", Type: "stuns"}, {Host: "h", Type: "turns"},
			{Host: "192.0.2.1", Port: 80, Type: "turns", Transport: "udp", Restricted: "false"},
			{Host: "2001:db8::1", Port: 81, Type: "stun", Transport: "tcp", Restricted: "true"},
			{Type: "turn"}, {Host: "h"},
		}
	})
	wantTexts(t, offers(t, s, "romeo@a.test"),
		"stun h:3478 udp", "turn h:3478 udp restricted", "stuns h:5349 tcp", "turns h:5349 tcp restricted",
		"turns 192.0.2.1:80 udp", "stun 2001:db8::1:81 tcp restricted")
	if want := []string{"a service is not offered because it has no host"}; !slices.Equal(*lines, want) {
		t.Errorf("got log lines %q, want %q", *lines, want)
	}
}

func TestSecretIsMissing(t *testing.T) {
	tests := []struct {
		name     string
		services []External
		want     int // lines
	}{
		{"restricted service", []External{{Host: "h", Type: "turn"}}, 1},
		{"others alone", []External{{Host: "h"}, {Host: "h", Type: "turn", Restricted: "false"}}, 0},
		{"none", nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, lines := newService(func(o *Options) { o.Secret, o.Services = "", tt.services })
			if len(*lines) != tt.want {
				t.Errorf("got log lines %q, want %d", *lines, tt.want)
			}
		})
	}
}

func TestLocal(t *testing.T) {
	tests := []struct {
		name  string
		local Local
		want  []string
	}{
		{"STUN", Local{Host: "192.0.2.1", Port: 3478}, []string{"stun 192.0.2.1:3478 udp"}},
		{"TURN", Local{Host: "192.0.2.1", Port: 3478, TURN: true, Realm: "a.test"}, []string{"stun 192.0.2.1:3478 udp", "turn 192.0.2.1:3478 udp restricted"}},
		{"TURN for everybody", Local{Host: "192.0.2.1", Port: 3478, TURN: true}, []string{"stun 192.0.2.1:3478 udp", "turn 192.0.2.1:3478 udp"}},
		{"by TCP", Local{Host: "192.0.2.1", Port: 3478, TCP: true, TURN: true, Realm: "a.test"}, []string{"stun 192.0.2.1:3478 tcp", "turn 192.0.2.1:3478 tcp restricted"}},
		{"by TLS", Local{Port: 5349, TCP: true, TLS: true, TURN: true, Realm: "a.test"}, []string{"stuns a.test:5349 tcp", "turns a.test:5349 tcp restricted"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(func(o *Options) { o.Services = nil })
			wantTexts(t, offers(t, s, "romeo@a.test"))
			s.SetLocal(func() []Local { return []Local{tt.local, tt.local} })
			wantTexts(t, offers(t, s, "romeo@a.test"), tt.want...)
		})
	}
	t.Run("not offered", func(t *testing.T) {
		s, _ := newService(func(o *Options) { o.OfferLocalServices = false })
		s.SetLocal(func() []Local { return []Local{tests[0].local} })
		wantTexts(t, offers(t, s, "romeo@a.test"), "stun stun.a.test:3478 udp", "turn turn.a.test:3478 udp restricted")
	})
	t.Run("after others, each once", func(t *testing.T) {
		s, _ := newService(nil)
		s.SetLocal(func() []Local { return []Local{{Host: "stun.a.test", Port: 3478, TURN: true}} })
		wantTexts(t, offers(t, s, "romeo@a.test"), "stun stun.a.test:3478 udp", "turn turn.a.test:3478 udp restricted", "turn stun.a.test:3478 udp")
	})
}

// The passwords are those of github.com/pion/turn, whose user names are times alone.
func TestPasswordsOfOthers(t *testing.T) {
	for _, secret := range []string{"", "s", "keep this", strings.Repeat("x", 1000), "Grüße"} {
		name, want, err := pion.GenerateLongTermCredentials(secret, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if got := password([]byte(secret), name); got != want {
			t.Errorf("secret %q: got %q, want %q", secret, got, want)
		}
	}
}

// Known values: echo -n 1400000000:user | openssl dgst -sha1 -hmac "keep this" -binary | base64
func TestPassword(t *testing.T) {
	if got, want := password([]byte(secret), "1400000000:user"), "j+Sw1+lHXAOo0k8WBDs5R2hsPPA="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newService(func(o *Options) { o.CredentialsLifetime = time.Hour })
		first := offers(t, s, "romeo@a.test/x")[1]
		now := time.Now()
		if want := now.Add(time.Hour); !first.Expires.Equal(want) || first.Expires.Location() != time.UTC {
			t.Errorf("got credentials until %v, want %v in UTC", first.Expires, want)
		}
		form := regexp.MustCompile(fmt.Sprintf(`^%d:[A-Za-z0-9_-]{16}$`, now.Add(time.Hour).Unix()))
		if !form.MatchString(first.Username) {
			t.Errorf("got the user name %q, want the time of the end and 16 characters", first.Username)
		}
		if want := password([]byte(secret), first.Username); first.Password != want {
			t.Errorf("got the password %q, want %q", first.Password, want)
		}
		time.Sleep(90 * time.Second)
		id := func(o Offer) string { return strings.SplitN(o.Username, ":", 2)[1] }
		again, other := offers(t, s, "romeo@a.test/y")[1], offers(t, s, "juliet@a.test/x")[1]
		if again.Username == first.Username || id(again) != id(first) {
			t.Errorf("got the user names %q and, later, %q, want another time alone", first.Username, again.Username)
		}
		if id(other) == id(first) {
			t.Errorf("two users have the user names %q and %q, want different ones", first.Username, other.Username)
		}
		elsewhere, _ := newService(func(o *Options) { o.Secret = "another" })
		if o := offers(t, elsewhere, "romeo@a.test/x")[1]; id(o) == id(first) {
			t.Error("the user name of somebody can be told without the secret")
		}
	})
}

func TestPasswordOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newService(func(o *Options) { o.CredentialsLifetime = time.Hour })
		o := offers(t, s, "romeo@a.test/x")[1]
		inAnHour := fmt.Sprint(time.Now().Add(time.Hour).Unix())
		tests := []struct {
			name, username, want string
		}{
			{"given away", o.Username, o.Password},
			{"made by a web application", inAnHour + ":ana", password([]byte(secret), inAnHour+":ana")},
			{"nobody", inAnHour + ":", password([]byte(secret), inAnHour+":")},
			{"account that is a number", inAnHour, ""},
			{"now", fmt.Sprint(time.Now().Unix()) + ":ana", ""},
			{"past", "1:ana", ""},
			{"no time", "ana", ""},
			{"no number", "x:ana", ""},
			{"too large", strings.Repeat("9", 30) + ":ana", ""},
			{"empty", "", ""},
		}
		for _, tt := range tests {
			if got, ok := s.Password("a.test", tt.username); got != tt.want || ok != (tt.want != "") {
				t.Errorf("%s: got %q, %t, want %q", tt.name, got, ok, tt.want)
			}
		}
		time.Sleep(time.Hour - time.Second)
		if _, ok := s.Password("a.test", o.Username); !ok {
			t.Error("credentials are not good a second before they expire")
		}
		time.Sleep(time.Second)
		if _, ok := s.Password("a.test", o.Username); ok {
			t.Error("credentials are good when they have expired")
		}
	})
}

// Which secret is whose: that of the virtual host for its services, and for a
// listener of this program that of the realm.
func TestSecrets(t *testing.T) {
	s, _ := newService(nil)
	b := Defaults()
	b.Access, b.Secret, b.Services = acl.All, "of b", []External{{Host: "turn.b.test", Type: "turn"}}
	a := Defaults()
	a.Services = []External{{Host: "turn.a.test", Type: "turn"}}
	s.Configure(stanza.PerHost[*Options]{Value: &a, Hosts: map[string]*Options{"b.test": &b}})
	s.SetLocal(func() []Local {
		return []Local{{Host: "1", Port: 1, TURN: true, Realm: "a.test"}, {Host: "2", Port: 2, TURN: true, Realm: "b.test"}}
	})
	for _, domain := range []string{"a.test", "b.test"} {
		list, err := s.Offers(domain, jid(t, "romeo@"+domain), netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			realm := map[string]string{"1": "a.test", "2": "b.test"}[o.Host]
			if realm == "" {
				realm = domain
			}
			if got, ok := s.Password(realm, o.Username); o.Restricted && (!ok || got != o.Password) {
				t.Errorf("%s at %s: got the password %q, %t, want %q", o.Host, domain, got, ok, o.Password)
			}
		}
		if want := 5; len(list) != want {
			t.Errorf("%s: got %d offers, want %d", domain, len(list), want)
		}
	}
	if string(s.secret("b.test")) != "of b" || len(s.secret("a.test")) < 16 {
		t.Error("a secret is not that of its virtual host")
	}
	if other := New(Config{}); string(other.made) == string(s.made) {
		t.Error("two programs have one secret")
	}
}

func TestOff(t *testing.T) {
	s := New(Config{})
	if s.Offered("a.test") {
		t.Error("is offered before it has options")
	}
	if _, err := s.Offers("a.test", jid(t, "romeo@a.test"), netip.Addr{}); err == nil {
		t.Error("offers services before it has options")
	}
	s, _ = newService(nil)
	if !s.Offered("a.test") || s.Offered("off.test") {
		t.Error("is not offered where its options are")
	}
}
