package xmppstream

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Namespaces of stream features.
const (
	NSTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	NSSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSSASLCB  = "urn:xmpp:sasl-cb:0"
	NSBind    = "urn:ietf:params:xml:ns:xmpp-bind"
	NSSession = "urn:ietf:params:xml:ns:xmpp-session"

	NSDialback        = "jabber:server:dialback"     // elements of XEP-0220
	NSDialbackFeature = "urn:xmpp:features:dialback" // XEP-0220, section 2.4
	NSBidi            = "urn:xmpp:bidi"              // element of XEP-0288
	NSBidiFeature     = "urn:xmpp:features:bidi"     // XEP-0288, section 2.1
)

// Features says what a stream offers. The zero Features offers nothing.
// See RFC 6120, section 4.3.2.
type Features struct {
	StartTLS   bool
	RequireTLS bool     // with StartTLS: nothing else goes before
	Mechanisms []string // of SASL, the strongest first
	Bindings   []string // types of channel binding (XEP-0440), when a mechanism has one
	Bind       bool     // resource binding
	Session    bool     // the session of RFC 3921, as optional
	SM         bool     // stream management (XEP-0198)
	Dialback   bool     // server dialback (XEP-0220), with errors
	Bidi       bool     // bidirectional server streams (XEP-0288)
	More       string   // XML of other features
}

// ParseFeatures takes <stream:features/> of a peer apart. More is not set. Of
// Mechanisms and Bindings it takes as many as anybody offers.
func ParseFeatures(e *stanza.Element) Features {
	var f Features
	for _, c := range e.Children {
		switch c.Name {
		case stanza.Name{Space: NSTLS, Local: "starttls"}:
			f.StartTLS, f.RequireTLS = true, c.Child(NSTLS, "required") != nil
		case stanza.Name{Space: NSSASL, Local: "mechanisms"}:
			for _, m := range c.Children {
				if m.Name == (stanza.Name{Space: NSSASL, Local: "mechanism"}) && len(f.Mechanisms) < maxListed {
					f.Mechanisms = append(f.Mechanisms, strings.TrimSpace(m.Text))
				}
			}
		case stanza.Name{Space: NSSASLCB, Local: "sasl-channel-binding"}:
			for _, t := range c.Children {
				if len(f.Bindings) < maxListed {
					f.Bindings = append(f.Bindings, t.Attr("type"))
				}
			}
		case stanza.Name{Space: NSBind, Local: "bind"}:
			f.Bind = true
		case stanza.Name{Space: NSSession, Local: "session"}:
			f.Session = true
		case stanza.Name{Space: NSSM, Local: "sm"}:
			f.SM = true
		case stanza.Name{Space: NSDialbackFeature, Local: "dialback"}:
			f.Dialback = true
		case stanza.Name{Space: NSBidiFeature, Local: "bidi"}:
			f.Bidi = true
		}
	}
	return f
}

// maxListed is how many entries of a list in a peer's features count.
const maxListed = 32

// AppendXML appends <stream:features/>. With standalone the element declares
// its prefix.
func (f *Features) AppendXML(dst []byte, standalone bool) []byte {
	dst = append(dst, "<stream:features"...)
	if standalone {
		dst = appendAttr(dst, "xmlns:stream", stanza.NSStream)
	}
	dst = append(dst, '>')
	if f.StartTLS {
		dst = append(dst, "<starttls xmlns='"+NSTLS+"'>"...)
		if f.RequireTLS {
			dst = append(dst, "<required/>"...)
		}
		dst = append(dst, "</starttls>"...)
	}
	if len(f.Mechanisms) > 0 {
		dst = append(dst, "<mechanisms xmlns='"+NSSASL+"'>"...)
		for _, m := range f.Mechanisms {
			dst = append(dst, "<mechanism>"...)
			dst = stanza.AppendEscaped(dst, m)
			dst = append(dst, "</mechanism>"...)
		}
		dst = append(dst, "</mechanisms>"...)
	}
	if len(f.Bindings) > 0 {
		dst = append(dst, "<sasl-channel-binding xmlns='"+NSSASLCB+"'>"...)
		for _, t := range f.Bindings {
			dst = append(dst, "<channel-binding"...)
			dst = appendAttr(dst, "type", t)
			dst = append(dst, "/>"...)
		}
		dst = append(dst, "</sasl-channel-binding>"...)
	}
	if f.Bind {
		dst = append(dst, "<bind xmlns='"+NSBind+"'/>"...)
	}
	if f.Session {
		dst = append(dst, "<session xmlns='"+NSSession+"'><optional/></session>"...)
	}
	if f.SM {
		dst = append(dst, "<sm xmlns='"+NSSM+"'/>"...)
	}
	if f.Dialback {
		dst = append(dst, "<dialback xmlns='"+NSDialbackFeature+"'><errors/></dialback>"...)
	}
	if f.Bidi {
		dst = append(dst, "<bidi xmlns='"+NSBidiFeature+"'/>"...)
	}
	dst = append(dst, f.More...)
	return append(dst, "</stream:features>"...)
}
