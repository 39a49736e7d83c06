package extdisco

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NS is the namespace of the requests, whose elements are services and credentials,
// and the feature that service discovery lists. NS1 is that of the version before,
// which knows no services that are restricted and no time at which credentials
// expire.
const (
	NS  = "urn:xmpp:extdisco:2"
	NS1 = "urn:xmpp:extdisco:1"
)

// HandleIQ answers requests of both namespaces to a domain.
// See XEP-0215, section 3.
func (s *Service) HandleIQ(_ context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
	if iq.Type != stanza.TypeGet {
		return nil, &stanza.Error{Condition: stanza.NotAllowed}
	}
	request, err := iq.Payload()
	if err != nil {
		return nil, err
	}
	wanted, err := wantedBy(request)
	if err != nil {
		return nil, err
	}
	all, err := s.Offers(iq.To.Domain(), iq.From, p.Addr.Addr())
	if err != nil {
		return nil, err
	}
	a := answer{Element: request}
	for i := range all {
		if wanted.match(&all[i]) {
			a.offers = append(a.offers, &all[i])
		}
	}
	if wanted.credentials && len(a.offers) == 0 {
		return nil, &stanza.Error{Condition: stanza.ItemNotFound, Text: "there are no credentials for such a service"}
	}
	s.log.Debug("services were asked for", "user", iq.From, "services", len(a.offers), "username", a.username())
	return iq.Result(string(a.appendXML(nil))), nil
}

// wish is what a request asks for.
type wish struct {
	credentials bool
	services    []identity // one of these
}

// identity says which services are meant; what is empty does not matter.
type identity struct {
	host, kind, transport string
	port                  int
}

// wantedBy reads a request. The services whose credentials are wanted have a host
// and, since the second version, a type; they may have a port. That they may have a
// transport is an extension which ejabberd has, too.
func wantedBy(request *stanza.Element) (w wish, err error) {
	if request.Name.Local == "services" {
		w.services = []identity{{kind: request.Attr("type")}}
		return w, nil
	}
	w.credentials = true
	for _, c := range request.Children {
		if (c.Name != stanza.Name{Space: request.Name.Space, Local: "service"}) {
			continue
		}
		id := identity{host: c.Attr("host"), kind: c.Attr("type"), transport: c.Attr("transport")}
		if id.host == "" || id.kind == "" && request.Name.Space == NS {
			return w, &stanza.Error{Condition: stanza.BadRequest, Text: "a service needs the attributes host and type"}
		}
		if port := c.Attr("port"); port != "" {
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil || n == 0 {
				return w, &stanza.Error{Condition: stanza.BadRequest, Text: "the port of a service is a number from 1 to 65535"}
			}
			id.port = int(n)
		}
		w.services = append(w.services, id)
	}
	if len(w.services) == 0 {
		return w, &stanza.Error{Condition: stanza.BadRequest, Text: "the request names no service"}
	}
	if len(w.services) > maxServices {
		return w, &stanza.Error{Condition: stanza.PolicyViolation, Text: "a request is limited to " + strconv.Itoa(maxServices) + " services"}
	}
	return w, nil
}

// maxServices is how many services a request may name.
const maxServices = 100

// match reports whether a service is one of those that are wanted.
func (w *wish) match(o *Offer) bool {
	if w.credentials && !o.Restricted {
		return false
	}
	for _, id := range w.services {
		if (id.host == "" || strings.EqualFold(id.host, o.Host)) && (id.kind == "" || id.kind == o.Type) &&
			(id.port == 0 || id.port == o.Port) && (id.transport == "" || id.transport == o.Transport) {
			return true
		}
	}
	return false
}

// answer is what a request gets: its element with services.
type answer struct {
	*stanza.Element
	offers []*Offer
}

// username returns a name that the answer has, by which its user can be found.
func (a *answer) username() string {
	for _, o := range a.offers {
		if o.Username != "" {
			return o.Username
		}
	}
	return ""
}

func (a *answer) appendXML(b []byte) []byte {
	b = append(b, '<')
	b = append(b, a.Name.Local...)
	b = appendAttr(b, "xmlns", a.Name.Space)
	if kind := a.Attr("type"); kind != "" && a.Name.Local == "services" {
		b = appendAttr(b, "type", kind)
	}
	b = append(b, '>')
	for _, o := range a.offers {
		b = o.appendXML(b, a.Name.Space)
	}
	b = append(b, "</"...)
	b = append(b, a.Name.Local...)
	return append(b, '>')
}

func (o *Offer) appendXML(b []byte, space string) []byte {
	b = append(b, "<service"...)
	b = appendAttr(b, "host", o.Host)
	b = appendAttr(b, "port", strconv.Itoa(o.Port))
	b = appendAttr(b, "transport", o.Transport)
	b = appendAttr(b, "type", o.Type)
	if o.Restricted {
		b = appendAttr(b, "username", o.Username)
		b = appendAttr(b, "password", o.Password)
		if space == NS {
			b = appendAttr(b, "restricted", "true")
			b = appendAttr(b, "expires", FormatTime(o.Expires))
		}
	}
	return append(b, "/>"...)
}

func appendAttr(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), "='"...)
	return append(stanza.AppendEscaped(b, value), '\'')
}

// FormatTime writes when credentials expire as clients are told it: XEP-0082, in UTC.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
