package c2s

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// verifyClient returns the leaf of the certificate chain that a client showed
// if a CA vouches for it as a client. own says that the CA is one of those that
// the configuration names for the clients of domain (ClientCAs), and not one of
// the system's, which certify everybody.
func (l *listener) verifyClient(cs *tls.ConnectionState, domain string) (leaf *x509.Certificate, own bool, err error) {
	if cs == nil {
		return nil, false, certs.ErrNoCertificate
	}
	roots, err := certs.ClientCAs(l.o.TLS, domain)
	if err != nil {
		return nil, false, err
	}
	chains, err := certs.VerifyPeer(&tls.Config{ClientCAs: roots}, domain, *cs)
	if err != nil {
		return nil, false, err
	}
	return chains[0][0], roots != nil, nil
}

// certifiedUser decides who a client with this certificate is on the virtual
// host domain, if it asked for authzid, or for nobody by the zero JID.
//
// Where the CA is one of our own, a certificate without any xmppAddr speaks for
// whoever it asks for, and so does one whose xmppAddr is the domain alone: the
// CA vouches for its holders. The host has the last word, as
// CertificateVerifier.
// See RFC 6120, section 13.7.1.2, and XEP-0178, section 2.
func certifiedUser(leaf *x509.Certificate, authzid stanza.JID, domain string, own bool) (stanza.JID, error) {
	names, err := xmppAddrs(leaf)
	if err != nil {
		return stanza.JID{}, err
	}
	if authzid.IsZero() {
		return onlyUser(names, domain)
	}
	if authzid.Domain() != domain || authzid.Local() == "" || authzid.IsFull() {
		return stanza.JID{}, fmt.Errorf("authorization identity %q is no user of %q", authzid, domain)
	}
	if own && len(names) == 0 {
		return authzid, nil
	}
	for _, n := range names {
		if n == authzid || own && n.Local() == "" && n.Domain() == domain {
			return authzid, nil
		}
	}
	return stanza.JID{}, fmt.Errorf("certificate does not name %q", authzid)
}

// onlyUser returns the one user of domain among names.
func onlyUser(names []stanza.JID, domain string) (user stanza.JID, err error) {
	for _, n := range names {
		if n.Local() == "" || n.Domain() != domain || n == user {
			continue
		}
		if !user.IsZero() {
			return stanza.JID{}, fmt.Errorf("certificate names more than one user of %q and the client none", domain)
		}
		user = n
	}
	if user.IsZero() {
		return user, fmt.Errorf("certificate names no user of %q and the client none", domain)
	}
	return user, nil
}

// xmppAddrs returns the xmppAddr names of a certificate, as bare JIDs. One that
// is no JID is an error, not a name less: a certificate without names speaks
// for everybody.
func xmppAddrs(cert *x509.Certificate) ([]stanza.JID, error) {
	names, err := certs.XMPPAddrs(cert)
	if err != nil {
		return nil, err
	}
	var jids []stanza.JID
	for _, name := range names {
		j, err := stanza.ParseJID(name)
		if err != nil {
			return nil, fmt.Errorf("certificate has a malformed xmppAddr: %w", err)
		}
		jids = append(jids, j.Bare())
	}
	return jids, nil
}
