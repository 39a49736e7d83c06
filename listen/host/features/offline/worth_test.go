package offline

import (
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// Payloads of messages.
const (
	body      = "<body>Hark!</body>"
	composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
	receipt   = "<received xmlns='urn:xmpp:receipts' id='1'/>"
	thread    = "<thread>t</thread>"
	store     = "<store xmlns='urn:xmpp:hints'/>"
	noStore   = "<no-store xmlns='urn:xmpp:hints'/>"
)

// XEP-0160, section 3, XEP-0334, section 4, and the options of mod_offline.
func TestWorthKeeping(t *testing.T) {
	const kept, dropped, refused = "kept", "dropped", "service-unavailable"
	tests := []struct {
		name, typ, inner string
		want             string // by default
		always, never    string // with store_empty_body true and false; "" as by default
	}{
		{"normal", "normal", body, kept, "", ""},
		{"no type", "", body, kept, "", ""},
		{"chat", "chat", body, kept, "", ""},
		{"unknown type, which is normal", "letter", body, kept, "", ""},
		{"headline", "headline", body, dropped, "", ""},
		{"error", "error", body + "<error type='cancel'/>", dropped, "", ""},
		{"groupchat", "groupchat", body, refused, "", ""},

		{"chat state", "chat", composing, dropped, kept, ""},
		{"chat state with thread and delay", "chat", thread + composing + "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>", dropped, kept, ""},
		{"chat state with a stanza id", "chat", composing + "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='a.test'/>", dropped, kept, ""},
		{"chat state of type normal", "normal", composing, dropped, kept, ""},
		{"event", "chat", "<x xmlns='jabber:x:event'><composing/></x>", dropped, kept, ""},
		{"nothing", "chat", "", dropped, kept, ""},
		{"chat state and body", "chat", composing + body, kept, "", ""},
		{"body and chat state", "chat", body + composing, kept, "", ""},
		{"empty body", "chat", "<body/>", kept, "", ""},
		{"subject", "chat", "<subject>s</subject>", kept, "", dropped},
		{"receipt", "chat", receipt, kept, "", dropped},
		{"receipt and chat state", "chat", composing + receipt, kept, "", dropped},
		{"body of another namespace", "chat", "<body xmlns='urn:x'/>", kept, "", dropped},

		{"no-store with a body", "chat", body + noStore, refused, "", ""},
		{"no-store before a body", "chat", noStore + body, refused, "", ""},
		{"no-storage, its older name", "chat", body + "<no-storage xmlns='urn:xmpp:hints'/>", refused, "", ""},
		{"no-store by a prefix", "chat", body + "<h:no-store xmlns:h='urn:xmpp:hints'/>", refused, "", ""},
		{"no-store with a chat state", "chat", composing + noStore, dropped, "", ""},
		{"no-store with a receipt", "chat", receipt + noStore, dropped, "", ""},
		{"no-permanent-store", "chat", body + "<no-permanent-store xmlns='urn:xmpp:hints'/>", kept, "", ""},
		{"no-store of another namespace", "chat", body + "<no-store xmlns='urn:x'/>", kept, "", ""},
		{"no-store within", "chat", body + "<x xmlns='urn:x'>" + noStore + "</x>", kept, "", ""},
		{"store in the text", "chat", "<body>the store has no-store</body>", kept, "", ""},
		{"store", "chat", composing + store, kept, "", ""},
		{"store and no-store", "chat", body + store + noStore, kept, "", ""},
		{"store on a headline", "headline", body + store, kept, "", ""},
		{"store on groupchat", "groupchat", body + store, refused, "", ""},
		{"store on an error", "error", body + store, dropped, "", ""},
	}
	for _, tt := range tests {
		for _, o := range []struct{ empty, want string }{{unlessChatState, tt.want}, {"true", tt.always}, {"false", tt.never}} {
			t.Run(tt.name+"/"+o.empty, func(t *testing.T) {
				if o.want == "" {
					o.want = tt.want
				}
				s := newService(new(Memory), Options{StoreEmptyBody: o.empty})
				typ := ""
				if tt.typ != "" {
					typ = fmt.Sprintf("type='%s'", tt.typ)
				}
				m := parse(t, fmt.Sprintf("<message from='romeo@b.test/o' to='juliet@a.test' %s>%s</message>", typ, tt.inner))
				if got := keepIt(t, s, m).String(); got != o.want {
					t.Errorf("got %s, want %s", got, o.want)
				}
				wantIdle(t, s)
			})
		}
	}
}

// Resources that are given the copy get a message that must not be stored, too:
// that is no case for an error.
func TestNoStoreForDetached(t *testing.T) {
	s := newService(new(Memory), Defaults())
	m := parse(t, "<message from='romeo@b.test/o' to='juliet@a.test' type='chat'>"+body+noStore+"</message>")
	if got := keepIt(t, s, m, newSession(t, juliet)).String(); got != "dropped" {
		t.Errorf("got %s, want dropped", got)
	}
	wantIdle(t, s)
}

func TestNoMessage(t *testing.T) {
	s := newService(new(Memory), Defaults())
	m := parse(t, "<presence to='juliet@a.test'/>")
	if got := keepIt(t, s, m).String(); got != "dropped" {
		t.Errorf("presence: got %s, want dropped", got)
	}
	m = message(t, "juliet@a.test", "m")
	m.Inner = "<active/><store>"
	m.Child = stanza.Name{}
	if got := keepIt(t, s, m); got.kept != nil || got.err == nil {
		t.Errorf("payload that is not well-formed: got %s, want an error", got)
	}
}

func TestGroupchat(t *testing.T) {
	m := parse(t, "<message from='room@b.test/o' to='juliet@a.test/r' type='groupchat'>"+body+"</message>")
	tests := []struct {
		name          string
		store, bounce bool
		room          bool
		want          string
	}{
		{"not stored", false, false, true, "service-unavailable"},
		{"stored", true, false, true, "kept"},
		{"too many", true, false, false, "dropped"},
		{"too many, bounced", true, true, false, "service-unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(new(Memory), Options{StoreGroupchat: tt.store, BounceGroupchat: tt.bounce, AccessMaxUserMessages: limit(1)})
			if !tt.room {
				keepIt(t, s, message(t, "juliet@a.test", "first"))
			}
			if got := keepIt(t, s, m).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func limit(n int64) shaper.Rule { return shaper.Fixed(shaper.Rate{BytesPerSecond: n}) }

// quota is a rule that notes who is asked for.
type quota struct {
	n     int
	ok    bool
	asked *acl.Subject
}

func (q quota) Rate(acl.Subject) shaper.Rate { return shaper.Rate{} }

func (q quota) Limit(s acl.Subject) (int, bool) {
	if q.asked != nil {
		*q.asked = s
	}
	return q.n, q.ok
}

func TestLimitsOfOptions(t *testing.T) {
	tests := []struct {
		name string
		o    Options
		want Limits
	}{
		{"nothing", Options{}, Limits{DefaultLimit, DefaultMaxBytes}},
		{"defaults", Defaults(), Limits{1000, 16 << 20}},
		{"access_max_user_messages", Options{AccessMaxUserMessages: limit(5)}, Limits{5, DefaultMaxBytes}},
		{"max_user_offline_messages", Options{MaxUserOfflineMessages: limit(7)}, Limits{7, DefaultMaxBytes}},
		{"both", Options{AccessMaxUserMessages: limit(5), MaxUserOfflineMessages: limit(7)}, Limits{5, DefaultMaxBytes}},
		{"no number", Options{AccessMaxUserMessages: quota{}}, Limits{DefaultLimit, DefaultMaxBytes}},
		{"none at all", Options{AccessMaxUserMessages: quota{0, true, nil}}, Limits{0, DefaultMaxBytes}},
		{"negative", Options{AccessMaxUserMessages: quota{-1, true, nil}}, Limits{0, DefaultMaxBytes}},
		{"max_bytes", Options{MaxBytes: 5000}, Limits{DefaultLimit, 5000}},
		{"negative max_bytes", Options{MaxBytes: -1}, Limits{DefaultLimit, DefaultMaxBytes}},
	}
	for _, tt := range tests {
		if got := tt.o.limits(jid(t, "juliet@a.test")); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
	var asked acl.Subject
	o := Options{AccessMaxUserMessages: quota{1, true, &asked}}
	o.limits(jid(t, "juliet@a.test/r"))
	if want := (acl.Subject{User: "juliet", Server: "a.test", Host: "a.test"}); asked != want {
		t.Errorf("the rule was asked for %+v, want %+v", asked, want)
	}
}
