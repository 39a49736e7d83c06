//go:build interop

package interop

import (
	"strings"
	"testing"
)

// Where the certificate of a server, or its lack of TLS, is not what a domain here
// demands, nothing passes either way: the senders hear of it, and the log says why.
func TestRefused(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			f := newFederation(t)
			cert := func(domain string) string { return f.cert(t, domain) }
			zone := "." + p.name + ".test"
			required, strict, plain := "required.tide.test", "strict.tide.test", "plain.tide.test"
			var us *ours
			var them *peer
			together(t, func() {
				us = f.tidewaiter(t,
					vhost{Domain: required, Cert: cert(required), Dialback: true, StartTLS: "required"},
					vhost{Domain: strict, Cert: cert(strict), StartTLS: "required_trusted"},
					vhost{Domain: plain, Dialback: true},
				)
			}, func() {
				pem := func(domain, text string) vhost {
					return vhost{Domain: domain, Cert: f.certificate(t, domain, text), Dialback: true}
				}
				them = p.run(f, t,
					vhost{Domain: "plain" + zone, Dialback: true},
					vhost{Domain: "required" + zone, Cert: cert("required" + zone), Dialback: true, StartTLS: "required"},
					pem("stranger"+zone, newAuthority(t).issue(t, "stranger"+zone)),
					pem("yesterday"+zone, f.ca.issueExpired(t, "yesterday"+zone)),
					// ejabberd takes another one of its certificates then.
					pem("wrong"+zone, f.ca.issue(t, "other"+zone)),
				)
			})
			for _, c := range []struct {
				ours, theirs string
				out, in      string // what the log says of streams to them and from them
			}{
				{required, "plain" + zone, "TLS", ""}, // who comes reads of TLS in our features and leaves
				{plain, "required" + zone, "TLS", ""},
				{strict, "stranger" + zone, "unknown authority", "unknown authority"},
				{strict, "yesterday" + zone, "expired", "expired"},
				{strict, "wrong" + zone, "wrong" + zone, "wrong" + zone},
			} {
				t.Run(c.ours+" and "+c.theirs, func(t *testing.T) {
					ana, bo := login(t, us.c2s, c.ours, "ana"), login(t, them.c2s, c.theirs, "bo")
					for _, pair := range [][2]*person{{ana, bo}, {bo, ana}} {
						id := newID()
						pair[0].sendf("<message to='%s' id='%s' type='chat'><body>refused</body></message>", pair[1].jid, id)
						pair[0].expect(t, "the message's return", func(e element) bool { return e.ID == id && e.Type == "error" })
					}
					us.logs(t, "no stream to a server", "local="+c.ours+" remote="+c.theirs, c.out)
					us.logs(t, "failed", "from="+c.theirs+" to="+c.ours, c.in)
				})
			}
		})
	}
}

// logs waits for a line of s2s at level INFO that has all these words.
func (o *ours) logs(t *testing.T, words ...string) {
	t.Helper()
	o.log.find(t, strings.Join(words, ", "), func(l string) bool {
		for _, w := range words {
			if !strings.Contains(l, w) {
				return false
			}
		}
		return strings.Contains(l, "level=INFO") && strings.Contains(l, "pkg=s2s")
	})
}
