package delegation

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/host/features/disco"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// maxNested is the most bytes of an answer about what a component can do.
const maxNested = 64 << 10

// nested is what a component has told about a namespace; nil: nothing yet.
type nested = atomic.Pointer[disco.More]

// question is one to a component about what it can do in a namespace.
type question struct {
	host  string
	to    stanza.JID
	node  string
	about *nested
}

// questionsAbout returns those about a namespace that has a manager since now.
// See section 7.2.
func questionsAbout(host, ns string, d *delegated) []question {
	if ns == NSNodes || ns == NSItems {
		return nil
	}
	return []question{
		{host, d.manager, NS + "::" + ns, &d.server},
		{host, d.manager, NS + ":bare:" + ns, &d.accounts},
	}
}

// ask sends a question.
func (s *Service) ask(q question) {
	host, err := stanza.NewJID("", q.host, "")
	if err != nil {
		return // a virtual host is none
	}
	id, err := s.questions.Add(host, len(q.node), request{host: host, manager: q.to, about: q}, func(r request) {
		s.log.Debug("component does not tell what it can do", "component", q.to, "node", q.node)
	})
	if err == nil {
		inner := append([]byte("<query xmlns='"+disco.NSInfo+"' node='"), stanza.AppendEscaped(nil, q.node)...)
		err = s.router.DeliverToDomain(q.to.Domain(), &stanza.Stanza{
			Kind: stanza.IQ, Type: stanza.TypeGet, ID: id, From: host, To: q.to,
			Child: stanza.Name{Space: disco.NSInfo, Local: "query"}, Inner: string(append(inner, "'/>"...)),
		})
	}
	if err != nil {
		s.log.Warn("component cannot be asked what it can do", "component", q.to, "node", q.node, "err", err)
	}
}

// learn takes an answer.
func (q *question) learn(answer *stanza.Stanza) {
	if answer.Type != stanza.TypeResult || answer.Size() > maxNested {
		return
	}
	query, err := answer.Payload()
	if err != nil || query == nil || query.Name != (stanza.Name{Space: disco.NSInfo, Local: "query"}) {
		return
	}
	var more disco.More
	for _, c := range query.Children {
		switch c.Name {
		case stanza.Name{Space: disco.NSInfo, Local: "identity"}:
			more.Identities = append(more.Identities, disco.Identity{Category: c.Attr("category"), Type: c.Attr("type"), Name: c.Attr("name")})
		case stanza.Name{Space: disco.NSInfo, Local: "feature"}:
			more.Features = append(more.Features, c.Attr("var"))
		case stanza.Name{Space: "jabber:x:data", Local: "x"}:
			more.Forms += string(c.AppendXML(nil))
		}
	}
	q.about.Store(&more)
}

// Nested returns what components tell about a virtual host or an account,
// besides what this server knows.
// See section 7.2.
func (s *Service) Nested(to stanza.JID) (all disco.More) {
	for _, d := range (*s.table.Load())[to.Domain()] {
		from := &d.server
		if to.Local() != "" {
			from = &d.accounts
		}
		if m := from.Load(); m != nil {
			all.Identities = append(all.Identities, m.Identities...)
			all.Features = append(all.Features, m.Features...)
			all.Forms += m.Forms
		}
	}
	slices.SortFunc(all.Identities, disco.Identity.Compare)
	all.Identities = slices.Compact(all.Identities)
	slices.Sort(all.Features)
	all.Features = slices.Compact(all.Features)
	return all
}

// Own returns those of the features of a virtual host or its accounts that are
// not of a namespace which a component answers for.
// See section 7.2.1.
func (s *Service) Own(domain string, features []string) []string {
	of := (*s.table.Load())[domain]
	if len(of) == 0 {
		return features
	}
	return slices.DeleteFunc(slices.Clone(features), func(f string) bool {
		space, _, _ := strings.Cut(f, "#")
		return of[f] != nil || of[space] != nil
	})
}
