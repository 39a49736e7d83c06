package xmppstream

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// Namespaces of stream features.
const (
	NSTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	NSSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSSASLCB  = "urn:xmpp:sasl-cb:0"
	NSBind    = "urn:ietf:params:xml:ns:xmpp-bind"
	NSSession = "urn:ietf:params:xml:ns:xmpp-session"
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
	More       string   // XML of other features
}

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
	dst = append(dst, f.More...)
	return append(dst, "</stream:features>"...)
}
