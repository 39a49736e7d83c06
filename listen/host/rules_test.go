package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
)

// states are the recipients of the table in RFC 6121, section 8.5.4, by name of
// the account.
var states = []struct {
	account   string
	resources map[string]string // resource to presence, "" for a connected one
}{
	{"none", nil},
	{"idle", nil},
	{"connected", map[string]string{"quiet": ""}},
	{"negative", map[string]string{"minus": prio(-1)}},
	{"one", map[string]string{"zero": "<presence/>", "minus": prio(-1)}},
	{"many", map[string]string{"top1": prio(5), "top2": prio(5), "low": prio(1), "minus": prio(-10), "quiet": ""}},
	{"left", map[string]string{"gone": "<presence type='unavailable'/>"}},
}

func prio(n int) string { return fmt.Sprintf("<presence><priority>%d</priority></presence>", n) }

func rulesWorld(t *testing.T) *world {
	w := newWorld(t, hosts("a.test"), "idle@a.test", "connected@a.test", "negative@a.test", "one@a.test", "many@a.test", "left@a.test")
	w.bind("romeo@a.test/x", "<presence/>")
	for _, s := range states {
		for r, p := range s.resources {
			w.bind(s.account+"@a.test/"+r, p)
		}
	}
	return w
}

// outcome says in one line who received what: resources of the recipient by
// name, or the error that came back to the sender.
func outcome(w *world) string {
	var all []string
	for name, s := range w.sinks {
		list := s.Stanzas()
		for _, st := range list[w.read[name]:] {
			if c := condition(st); c != "" {
				all = append(all, c)
			} else {
				_, r, _ := strings.Cut(name, "/")
				all = append(all, r)
			}
		}
		w.read[name] = len(list)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

const refused = "service-unavailable"

func TestMessageRules(t *testing.T) {
	tests := []struct {
		to                                        string
		normal, chat, groupchat, headline, erring string // who gets it
	}{
		// RFC 6121, section 8.5.1: silence or an error; we say so.
		{"none@a.test", refused, refused, refused, "", ""},
		{"none@a.test/r", refused, refused, refused, refused, ""},
		// 8.5.2.2 and 8.5.3.2
		{"idle@a.test", refused, refused, refused, "", ""},
		{"idle@a.test/r", refused, refused, refused, refused, ""},
		{"left@a.test", refused, refused, refused, "", ""},
		// a connected resource is no available one, but has an address
		{"connected@a.test", refused, refused, refused, "", ""},
		{"connected@a.test/quiet", "quiet", "quiet", "quiet", "quiet", "~quiet"},
		{"connected@a.test/r", refused, refused, refused, refused, ""},
		{"left@a.test/gone", "gone", "gone", "gone", "gone", "~gone"},
		// 8.5.2.1.1: a negative priority gets nothing sent to the bare JID
		{"negative@a.test", refused, refused, refused, "", ""},
		{"negative@a.test/minus", "minus", "minus", "minus", "minus", "~minus"},
		{"negative@a.test/r", refused, refused, refused, refused, ""},
		{"one@a.test", "zero", "zero", refused, "zero", ""},
		{"one@a.test/zero", "zero", "zero", "zero", "zero", "~zero"},
		{"one@a.test/r", refused, "zero", refused, refused, ""},
		{"many@a.test", "top1 top2", "top1 top2", refused, "low top1 top2", ""},
		{"many@a.test/low", "low", "low", "low", "low", "~low"},
		{"many@a.test/r", refused, "top1 top2", refused, refused, ""},
		// RFC 6120, section 10.5.3
		{"a.test", refused, refused, refused, "", ""},
		{"a.test/r", refused, refused, refused, "", ""},
		{"far.test", "remote-server-not-found", "remote-server-not-found", "remote-server-not-found", "remote-server-not-found", ""},
	}
	for _, tt := range tests {
		for typ, want := range map[string]string{
			"normal": tt.normal, "chat": tt.chat, "groupchat": tt.groupchat, "headline": tt.headline, "error": tt.erring,
			"": tt.normal, "unheard-of": tt.normal,
		} {
			t.Run(fmt.Sprintf("%s to %s", typ, tt.to), func(t *testing.T) {
				w := rulesWorld(t)
				w.send("romeo@a.test/x", fmt.Sprintf("<message xmlns='jabber:client' to='%s' type='%s' id='1'><body>hi</body></message>", tt.to, typ))
				if strings.HasPrefix(want, "~") { // delivered, and an error itself
					w.expect(fmt.Sprintf("%s: <message from='romeo@a.test/x' to='%s' type='error' id='1'><body>hi</body></message>", tt.to, tt.to))
					return
				}
				if got := outcome(w); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

// The RFC leaves the to address as it is, so that the recipient sees how it was
// addressed.
func TestMessageIsNotRewritten(t *testing.T) {
	w := rulesWorld(t)
	w.send("romeo@a.test/x", "<message xmlns='jabber:client' to='one@a.test/none' type='chat' id='1' xml:lang='en'><body>hi</body></message>")
	w.expect("one@a.test/zero: <message from='romeo@a.test/x' to='one@a.test/none' type='chat' id='1' xml:lang='en'><body>hi</body></message>")
}

// RFC 6121, section 8.2.
func TestMessageWithoutTo(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test")
	w.bind("romeo@a.test/x", "<presence/>")
	w.send("romeo@a.test/x", "<message xmlns='jabber:client'><body>note</body></message>")
	w.expect("romeo@a.test/x: <message from='romeo@a.test/x' to='romeo@a.test'><body>note</body></message>")
}

func TestErrorReply(t *testing.T) {
	w := rulesWorld(t)
	w.send("romeo@a.test/x", "<message xmlns='jabber:client' to='idle@a.test' type='chat' id='7'><body>hi</body></message>")
	w.expect("romeo@a.test/x: <message from='idle@a.test' to='romeo@a.test/x' type='error' id='7'>" +
		"<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
}

func TestPresenceRules(t *testing.T) {
	const stay = "" // silently ignored
	tests := []struct{ to, available, unavailable, subscribe, probe string }{
		{"none@a.test", stay, stay, stay, stay},
		{"none@a.test/r", stay, stay, stay, stay},
		{"idle@a.test", stay, stay, stay, stay},
		{"connected@a.test", stay, stay, stay, stay},
		{"connected@a.test/quiet", "quiet", "quiet", stay, stay},
		// presence takes no account of the priority
		{"negative@a.test", "minus", "minus", "minus", stay},
		{"one@a.test", "minus zero", "minus zero", "minus zero", stay},
		{"one@a.test/zero", "zero", "zero", "minus zero", stay},
		{"one@a.test/r", stay, stay, "minus zero", stay},
		{"many@a.test", "low minus top1 top2", "low minus top1 top2", "low minus top1 top2", stay},
		{"a.test", stay, stay, stay, stay},
		{"far.test", "remote-server-not-found", stay, "remote-server-not-found", stay},
	}
	for _, tt := range tests {
		for typ, want := range map[string]string{
			"": tt.available, "unavailable": tt.unavailable, "subscribe": tt.subscribe, "probe": tt.probe,
		} {
			t.Run(fmt.Sprintf("%s to %s", typ, tt.to), func(t *testing.T) {
				w := rulesWorld(t)
				attr := ""
				if typ != "" {
					attr = fmt.Sprintf(" type='%s'", typ)
				}
				w.send("romeo@a.test/x", fmt.Sprintf("<presence xmlns='jabber:client' to='%s'%s/>", tt.to, attr))
				if got := outcome(w); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

// RFC 6121, section 3.1.2: the server stamps the bare JID.
func TestSubscriptionBetweenBareJIDs(t *testing.T) {
	for _, typ := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"} {
		w := rulesWorld(t)
		w.send("romeo@a.test/x", fmt.Sprintf("<presence xmlns='jabber:client' to='negative@a.test/minus' type='%s'/>", typ))
		w.expect(fmt.Sprintf("negative@a.test/minus: <presence from='romeo@a.test' to='negative@a.test' type='%s'/>", typ))
	}
}

func TestIQRules(t *testing.T) {
	tests := []struct{ to, request, result string }{
		{"none@a.test", refused, ""},
		{"none@a.test/r", refused, ""},
		{"idle@a.test", refused, ""},
		{"idle@a.test/r", refused, ""},
		{"one@a.test", refused, ""}, // 8.5.2.1.3: the server answers for the account
		{"one@a.test/zero", "zero", "zero"},
		{"one@a.test/r", refused, ""},
		{"connected@a.test/quiet", "quiet", "quiet"},
		{"negative@a.test/minus", "minus", "minus"},
		{"a.test", refused, ""},
		{"a.test/r", refused, ""},
		{"far.test", "remote-server-not-found", ""},
	}
	for _, tt := range tests {
		for typ, want := range map[string]string{"get": tt.request, "set": tt.request, "result": tt.result} {
			t.Run(fmt.Sprintf("%s to %s", typ, tt.to), func(t *testing.T) {
				w := rulesWorld(t)
				w.IQ = new(host.Dispatcher)
				w.send("romeo@a.test/x", fmt.Sprintf("<iq xmlns='jabber:client' to='%s' type='%s' id='1'><q xmlns='urn:x'/></iq>", tt.to, typ))
				if got := outcome(w); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
		t.Run("error to "+tt.to, func(t *testing.T) {
			w := rulesWorld(t)
			w.send("romeo@a.test/x", fmt.Sprintf("<iq xmlns='jabber:client' to='%s' type='error' id='1'/>", tt.to))
			want := ""
			if tt.result != "" {
				want = fmt.Sprintf("%s: <iq from='romeo@a.test/x' to='%s' type='error' id='1'/>", tt.to, tt.to)
				w.expect(want)
				return
			}
			w.expect()
		})
	}
}
