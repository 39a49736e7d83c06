package c2s

import (
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// accept checks the stream header of a client, takes over what it says and
// completes our own.
// See RFC 6120, section 4.7.
func (s *stream) accept(h stanza.Header, answer *stanza.Header) error {
	if h.Namespace != stanza.NSClient {
		return &stanza.StreamError{Condition: stanza.StreamInvalidNamespace, Text: "the namespace is " + stanza.NSClient}
	}
	domain, err := s.virtualHost(h.To)
	if err != nil {
		return err
	}
	answer.From = domain
	if err := xmppstream.CheckVersion(h.Version); err != nil {
		return err
	}
	if err := xmppstream.CheckLang(h.Lang); err != nil {
		return err
	}
	from, err := s.sender(h.From)
	if err != nil {
		return err
	}
	answer.To = from.String()
	s.domain, s.lang = domain, h.Lang
	return nil
}

// virtualHost returns the canonical form of a stream's to attribute. It is the
// same in each header of a connection, and one that the client has named in
// TLS (SNI) must not be another one: what is checked for one virtual host is
// not mixed with another's. A name in SNI that is no virtual host, such as the
// machine's, does not count.
// See RFC 6120, section 4.9.3.6, and XEP-0368, section 3.
func (s *stream) virtualHost(to string) (string, error) {
	if to == "" {
		return "", &stanza.StreamError{Condition: stanza.StreamImproperAddressing, Text: "to is missing"}
	}
	j, err := stanza.ParseJID(to)
	if err != nil {
		return "", &stanza.StreamError{Condition: stanza.StreamImproperAddressing, Text: "to is no address", Err: err}
	}
	if j.Local() != "" || j.IsFull() || !s.l.h.Domains.IsLocal(j.Domain()) {
		return "", unknownHost("to is no host of this server")
	}
	if s.domain != "" && j.Domain() != s.domain {
		return "", unknownHost("to is another host than before")
	}
	if tls := s.t.Peer().TLS; tls != nil && tls.ServerName != "" {
		sni, err := stanza.NewJID("", tls.ServerName, "")
		if err == nil && sni != j && s.l.h.Domains.IsLocal(sni.Domain()) {
			return "", unknownHost("to is another host than the one named in TLS")
		}
	}
	return j.Domain(), nil
}

func unknownHost(text string) error {
	return &stanza.StreamError{Condition: stanza.StreamHostUnknown, Text: text}
}

// sender checks the from attribute of a stream header, which a client need not
// send. It returns a bare JID, to which our header is addressed.
// See RFC 6120, sections 4.7.1 and 4.7.2.
func (s *stream) sender(from string) (stanza.JID, error) {
	if from == "" {
		return stanza.JID{}, nil
	}
	j, err := stanza.ParseJID(from)
	if err != nil {
		return stanza.JID{}, &stanza.StreamError{Condition: stanza.StreamImproperAddressing, Text: "from is no address", Err: err}
	}
	if s.authenticated() && j.Bare() != s.jid.Bare() {
		return stanza.JID{}, &stanza.StreamError{Condition: stanza.StreamInvalidFrom, Text: "from is not who has logged in"}
	}
	return j.Bare(), nil
}
