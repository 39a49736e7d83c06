package s2s

import (
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// accept checks the stream header of a server, takes over what it says and
// completes our own.
// See RFC 6120, section 4.7.
func (s *stream) accept(h stanza.Header, answer *stanza.Header) error {
	if h.Namespace != stanza.NSServer {
		return &stanza.StreamError{Condition: stanza.StreamInvalidNamespace, Text: "the namespace is " + stanza.NSServer}
	}
	old, err := xmppstream.IsOld(h.Version)
	if err != nil {
		return err
	}
	if old {
		answer.Version = "" // RFC 6120, section 4.7.5
	}
	local, err := s.receiver(h.To, old)
	if err != nil {
		return err
	}
	answer.From = local
	if err := xmppstream.CheckLang(h.Lang); err != nil {
		return err
	}
	remote, err := s.sender(h.From)
	if err != nil {
		return err
	}
	answer.To = remote
	if s.authenticated {
		remote = s.remote
	}
	s.local, s.remote, s.lang, s.old, s.id = local, remote, h.Lang, old, answer.ID
	return nil
}

// receiver returns the canonical form of a stream's to attribute. It is the same
// in each header of a connection, and the domain that was named in TLS (SNI), if
// that is one of ours. Servers from before XMPP 1.0 may leave it out: then the
// domains of their dialback count.
// See RFC 6120, sections 4.7.2 and 4.9.3.6, and XEP-0368, section 3.
func (s *stream) receiver(to string, old bool) (string, error) {
	if to == "" && old && s.local == "" {
		return "", nil
	}
	if to == "" {
		return "", &stanza.StreamError{Condition: stanza.StreamImproperAddressing, Text: "to is missing"}
	}
	j, err := stanza.ParseJID(to)
	if err != nil {
		return "", misaddressed("to is no address", err)
	}
	if j.Local() != "" || j.IsFull() || !s.serves(j.Domain()) {
		return "", unknownHost("to is no domain of this server")
	}
	if s.local != "" && j.Domain() != s.local {
		return "", unknownHost("to is another domain than before")
	}
	if tls := s.t.Peer().TLS; tls != nil && tls.ServerName != "" {
		sni, err := parseDomain(tls.ServerName)
		if err == nil && sni != j.Domain() && s.serves(sni) {
			return "", unknownHost("to is another domain than the one named in TLS")
		}
	}
	return j.Domain(), nil
}

func unknownHost(text string) error {
	return &stanza.StreamError{Condition: stanza.StreamHostUnknown, Text: text}
}

// sender returns the canonical form of a stream's from attribute, "" when there is
// none. The domains of this server are none that another one may speak for.
// See RFC 6120, section 4.7.1.
func (s *stream) sender(from string) (string, error) {
	if from == "" {
		return "", nil
	}
	remote, err := parseDomain(from)
	if err != nil {
		return "", misaddressed("from is no domain", err)
	}
	switch {
	case s.serves(remote):
		return "", invalidFrom(remote + " is a domain of this server")
	case s.authenticated && remote != s.remote:
		return "", invalidFrom("from is not " + s.remote + ", which has authenticated")
	case s.remote != "" && remote != s.remote:
		return "", invalidFrom("from is another domain than before")
	}
	return remote, nil
}

func invalidFrom(text string) error {
	return &stanza.StreamError{Condition: stanza.StreamInvalidFrom, Text: text}
}

func (s *stream) serves(domain string) bool { return s.l.srv.h.Domains.Serves(domain) }
