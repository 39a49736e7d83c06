package roster

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// asked stands for what is kept of a request.
const asked = "<presence xmlns='jabber:client' from='romeo@b.test' to='juliet@a.test' type='subscribe'/>"

// named are the states of RFC 6121, appendix A.1, as items.
var named = map[string]Item{
	"None":                  {Listed: true, Subscription: None},
	"None + Pending Out":    {Listed: true, Subscription: None, Ask: true},
	"None + Pending In":     {Listed: true, Subscription: None, Request: asked},
	"None + Pending Out+In": {Listed: true, Subscription: None, Ask: true, Request: asked},
	"To":                    {Listed: true, Subscription: To},
	"To + Pending In":       {Listed: true, Subscription: To, Request: asked},
	"From":                  {Listed: true, Subscription: From},
	"From + Pending Out":    {Listed: true, Subscription: From, Ask: true},
	"Both":                  {Listed: true, Subscription: Both},

	// Section 3.4: the states in which a request can be approved before it comes.
	"None, approved":               {Listed: true, Subscription: None, Approved: true},
	"None + Pending Out, approved": {Listed: true, Subscription: None, Ask: true, Approved: true},
	"To, approved":                 {Listed: true, Subscription: To, Approved: true},
}

// row is one of a table: what follows (of pass, push, show, hide and a reply)
// and the new state, "" for no change.
type row struct{ state, follows, new string }

var tables = []struct {
	name     string // the section
	outbound bool
	typ      string
	rows     []row
}{
	{"A.2.1", true, stanza.TypeSubscribe, []row{
		{"None", "pass push", "None + Pending Out"},
		{"None + Pending Out", "pass", ""},
		{"None + Pending In", "pass push", "None + Pending Out+In"},
		{"None + Pending Out+In", "pass", ""},
		{"To", "pass", ""},
		{"To + Pending In", "pass", ""},
		{"From", "pass push", "From + Pending Out"},
		{"From + Pending Out", "pass", ""},
		{"Both", "pass", ""},
		{"None, approved", "pass push", "None + Pending Out, approved"},
		{"None + Pending Out, approved", "pass", ""},
		{"To, approved", "pass", ""},
	}},
	{"A.2.2", true, stanza.TypeUnsubscribe, []row{
		{"None", "pass", ""},
		{"None + Pending Out", "pass push", "None"},
		{"None + Pending In", "pass", ""},
		{"None + Pending Out+In", "pass push", "None + Pending In"},
		{"To", "pass push", "None"},
		{"To + Pending In", "pass push", "None + Pending In"},
		{"From", "pass", ""},
		{"From + Pending Out", "pass push", "From"},
		{"Both", "pass push", "From"},
		{"None, approved", "pass", ""},
		{"None + Pending Out, approved", "pass push", "None, approved"},
		{"To, approved", "pass push", "None, approved"},
	}},
	{"A.2.3", true, stanza.TypeSubscribed, []row{ // with section 3.4.2
		{"None", "push", "None, approved"},
		{"None + Pending Out", "push", "None + Pending Out, approved"},
		{"None + Pending In", "pass push show", "From"},
		{"None + Pending Out+In", "pass push show", "From + Pending Out"},
		{"To", "push", "To, approved"},
		{"To + Pending In", "pass push show", "Both"},
		{"From", "", ""},
		{"From + Pending Out", "", ""},
		{"Both", "", ""},
		{"None, approved", "", ""},
		{"None + Pending Out, approved", "", ""},
		{"To, approved", "", ""},
	}},
	{"A.2.4", true, stanza.TypeUnsubscribed, []row{
		{"None", "", ""},
		{"None + Pending Out", "", ""},
		{"None + Pending In", "pass", "None"},
		{"None + Pending Out+In", "pass", "None + Pending Out"},
		{"To", "", ""},
		{"To + Pending In", "pass", "To"},
		{"From", "pass push hide", "None"},
		{"From + Pending Out", "pass push hide", "None + Pending Out"},
		{"Both", "pass push hide", "To"},
		{"None, approved", "push", "None"},
		{"None + Pending Out, approved", "push", "None + Pending Out"},
		{"To, approved", "push", "To"},
	}},
	{"A.3.1", false, stanza.TypeSubscribe, []row{ // with section 3.1.3, rule 2
		{"None", "pass", "None + Pending In"},
		{"None + Pending Out", "pass", "None + Pending Out+In"},
		{"None + Pending In", "", ""},
		{"None + Pending Out+In", "", ""},
		{"To", "pass", "To + Pending In"},
		{"To + Pending In", "", ""},
		{"From", "show subscribed", ""},
		{"From + Pending Out", "show subscribed", ""},
		{"Both", "show subscribed", ""},
		{"None, approved", "push show subscribed", "From"},
		{"None + Pending Out, approved", "push show subscribed", "From + Pending Out"},
		{"To, approved", "push show subscribed", "Both"},
	}},
	{"A.3.2", false, stanza.TypeUnsubscribe, []row{
		{"None", "", ""},
		{"None + Pending Out", "", ""},
		{"None + Pending In", "pass", "None"},
		{"None + Pending Out+In", "pass", "None + Pending Out"},
		{"To", "", ""},
		{"To + Pending In", "pass", "To"},
		{"From", "pass push hide", "None"},
		{"From + Pending Out", "pass push hide", "None + Pending Out"},
		{"Both", "pass push hide", "To"},
		{"None, approved", "", ""},
		{"None + Pending Out, approved", "", ""},
		{"To, approved", "", ""},
	}},
	{"A.3.3", false, stanza.TypeSubscribed, []row{
		{"None", "", ""},
		{"None + Pending Out", "pass push", "To"},
		{"None + Pending In", "", ""},
		{"None + Pending Out+In", "pass push", "To + Pending In"},
		{"To", "", ""},
		{"To + Pending In", "", ""},
		{"From", "", ""},
		{"From + Pending Out", "pass push", "Both"},
		{"Both", "", ""},
		{"None, approved", "", ""},
		{"None + Pending Out, approved", "pass push", "To, approved"},
		{"To, approved", "", ""},
	}},
	{"A.3.4", false, stanza.TypeUnsubscribed, []row{
		{"None", "", ""},
		{"None + Pending Out", "pass push", "None"},
		{"None + Pending In", "", ""},
		{"None + Pending Out+In", "pass push", "None + Pending In"},
		{"To", "pass push", "None"},
		{"To + Pending In", "pass push", "None + Pending In"},
		{"From", "", ""},
		{"From + Pending Out", "pass push", "From"},
		{"Both", "pass push", "From"},
		{"None, approved", "", ""},
		{"None + Pending Out, approved", "pass push", "None, approved"},
		{"To, approved", "pass push", "None, approved"},
	}},
}

func TestAppendixA(t *testing.T) {
	for _, table := range tables {
		if len(table.rows) != len(named) {
			t.Errorf("%s has %d rows, want %d", table.name, len(table.rows), len(named))
		}
		for _, r := range table.rows {
			t.Run(table.name+" "+table.typ+"/"+r.state, func(t *testing.T) {
				if r.new == "" {
					r.new = r.state
				}
				step := state.inbound
				if table.outbound {
					step = state.outbound
				}
				old, want := named[r.state], named[r.new]
				now, c := step(old.state(), table.typ)
				if now != want.state() {
					t.Errorf("got state %+v, want %+v", now, want.state())
				}
				if got, follows := describe(c, now.shows(old.state())), r.follows; got != follows {
					t.Errorf("got %q, want %q", got, follows)
				}
			})
		}
	}
}

// TestAppendixAStored is the same with all that stands around the rules.
func TestAppendixAStored(t *testing.T) {
	for _, table := range tables {
		for _, r := range table.rows {
			t.Run(table.name+" "+table.typ+"/"+r.state, func(t *testing.T) {
				if r.new == "" {
					r.new = r.state
				}
				s, f := newService(nil)
				f.login(t, balcony, true)
				f.login(t, chamber, false)
				old, want := named[r.state], named[r.new]
				old.Contact, old.Name = jid(t, romeo), "Romeo"
				if _, err := s.store.Set(t.Context(), jid(t, juliet), old, 0); err != nil {
					t.Fatal(err)
				}
				step := in
				if table.outbound {
					step = out
				}
				c := step(t, s, table.typ)
				pushes := f.takePushes(t, balcony)
				if got := describe(c, len(pushes) > 0); got != r.follows {
					t.Errorf("got %q, want %q", got, r.follows)
				}
				got := item(t, s, romeo)
				if got.state() != want.state() || got.Request != want.Request || !got.Listed || got.Name != "Romeo" {
					t.Errorf("stored %+v, want %+v", got, want)
				}
				if len(pushes) > 0 {
					wantStrings(t, "pushes", pushes, string(got.appendXML(nil)))
				}
				wantStrings(t, "pushes to who did not ask", f.takePushes(t, chamber))
				wantStrings(t, "routed", f.takeRouted())
			})
		}
	}
}

func describe(c Change, push bool) string {
	var words []string
	for _, w := range []struct {
		word string
		set  bool
	}{{"pass", c.Pass}, {"push", push}, {"show", c.Show}, {"hide", c.Hide}, {c.Reply, c.Reply != ""}} {
		if w.set {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, " ")
}

// No stanza is answered by one that is answered again, and no way leads out of
// the named states.
func TestNoStateIsUnknown(t *testing.T) {
	var known []state
	for _, i := range named {
		known = append(known, i.state())
	}
	for name, i := range named {
		for _, typ := range []string{stanza.TypeSubscribe, stanza.TypeSubscribed, stanza.TypeUnsubscribe, stanza.TypeUnsubscribed, "", stanza.TypeProbe} {
			o, oc := i.state().outbound(typ)
			n, nc := i.state().inbound(typ)
			if !slices.Contains(known, o) || !slices.Contains(known, n) {
				t.Errorf("%s leads by %s to %+v and %+v, want named states", name, typ, o, n)
			}
			if oc.Reply != "" || nc.Reply != "" && typ != stanza.TypeSubscribe {
				t.Errorf("%s: %s is answered", name, typ)
			}
			if nc.Reply != "" && nc.Pass {
				t.Errorf("%s: %s is answered and passes", name, typ)
			}
		}
	}
}
