//go:build interop

package interop

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// peers are the servers that Tidewaiter is tested with.
var peers = []struct {
	name string
	run  func(f *federation, t *testing.T, hosts ...vhost) *peer
	// accepted is what the peer logs when it has let one of our streams in.
	accepted func(from, to, mechanism string) *regexp.Regexp
}{
	{"prosody", (*federation).prosody, func(from, to, mechanism string) *regexp.Regexp {
		if mechanism == "EXTERNAL" {
			return regexp.MustCompile("Accepting SASL EXTERNAL identity from " + from)
		}
		return regexp.MustCompile(`Sending\[s2sin\w*\]: <db:result.*(to='` + from + `'.*from='` + to + `'|from='` + to + `'.*to='` + from + `')`)
	}},
	{"ejabberd", (*federation).ejabberd, func(from, to, mechanism string) *regexp.Regexp {
		return regexp.MustCompile("Accepted inbound s2s " + mechanism + " authentication " + from + " -> " + to)
	}},
}

// Users of domains that may talk do so, both ways, and each domain is proved as it
// should be.
func TestFederation(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			f := newFederation(t)
			foreign := newAuthority(t)
			cert := func(domain string) string { return f.cert(t, domain) }
			untrusted := func(domain string) string { return f.certificate(t, domain, foreign.issue(t, domain)) }
			zone := "." + p.name + ".test"
			tide, required, strict := "tide.test", "required.tide.test", "strict.tide.test"
			plain, stranger, direct := "plain.tide.test", "stranger.tide.test", "direct.tide.test"
			var us *ours
			var them *peer
			together(t, func() {
				us = f.tidewaiter(t,
					vhost{Domain: tide, Cert: cert(tide), Dialback: true},
					vhost{Domain: required, Cert: cert(required), Dialback: true, StartTLS: "required"},
					vhost{Domain: strict, Cert: cert(strict), StartTLS: "required_trusted"},
					vhost{Domain: plain, Dialback: true},
					vhost{Domain: stranger, Cert: untrusted(stranger), Dialback: true},
					vhost{Domain: direct, Cert: cert(direct), Dialback: true, Direct: true},
				)
			}, func() {
				them = p.run(f, t,
					vhost{Domain: "whole" + zone, Cert: cert("whole" + zone), Dialback: true},
					vhost{Domain: "strict" + zone, Cert: cert("strict" + zone)},
					vhost{Domain: "plain" + zone, Dialback: true},
					vhost{Domain: "stranger" + zone, Cert: untrusted("stranger" + zone), Dialback: true},
					vhost{Domain: "direct" + zone, Cert: cert("direct" + zone), Dialback: true, Direct: true},
				)
			})
			for _, c := range []route{
				{tide, "whole" + zone, "EXTERNAL", "EXTERNAL", true},
				{strict, "strict" + zone, "EXTERNAL", "EXTERNAL", true},
				{required, "stranger" + zone, "EXTERNAL", "dialback", true},
				{stranger, "whole" + zone, "dialback", "EXTERNAL", true},
				{stranger, "stranger" + zone, "dialback", "dialback", true},
				{tide, "plain" + zone, "dialback", "dialback", false},
				{plain, "whole" + zone, "dialback", "dialback", false},
				{direct, "direct" + zone, "EXTERNAL", "EXTERNAL", true},
			} {
				t.Run(c.ours+" and "+c.theirs, func(t *testing.T) {
					c.test(t, us, them)
					them.says(t, p.accepted(c.ours, c.theirs, c.out))
				})
			}
		})
	}
}

// route is two domains that may talk.
type route struct {
	ours, theirs string
	out, in      string // how we prove our domain, and they theirs
	encrypted    bool
}

// test has users of the domains talk, and looks at the connections that this has
// made.
func (c route) test(t *testing.T, us *ours, them *peer) {
	t.Helper()
	ana, bo := login(t, us.c2s, c.ours, "ana"), login(t, them.c2s, c.theirs, "bo")
	toUs, _ := us.taps[c.ours].count()
	toThem, _ := them.taps[c.theirs].count()
	talk(t, ana, bo)
	us.logs(t, "server has connected", fmt.Sprintf("from=%s to=%s mechanism=%s encrypted=%v ", c.theirs, c.ours, c.in, c.encrypted))
	for _, said := range append(us.taps[c.ours].said(toUs), them.taps[c.theirs].said(toThem)...) {
		direct := strings.HasPrefix(c.ours, "direct.")
		if strings.Contains(said, "ahoy") && c.encrypted || strings.HasPrefix(said, "\x16\x03") != direct {
			t.Errorf("encrypted %v: a connection began with %q", c.encrypted, said)
		}
	}
}

// says waits until the peer has logged something.
func (p *peer) says(t *testing.T, want *regexp.Regexp) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !want.MatchString(p.logged()) {
		select {
		case <-time.After(50 * time.Millisecond): // its log is written in the background
		case <-timer.C:
			t.Fatalf("%s has not logged %v", p.name, want)
		}
	}
}
