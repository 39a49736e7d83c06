package s2s

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/certs"
)

// pair is the domains at the ends of a stream. Stanzas go from one to the other,
// in the direction of the stream.
type pair struct{ local, remote string }

// String returns local and remote for logs and errors.
func (p pair) String() string { return p.local + " and " + p.remote }

// proves says why the certificate that a server showed does not prove that it
// serves the remote domain of p; nil: it does. roots vouch for servers, nil: those
// of the system.
// See RFC 6120, section 13.7.2, and XEP-0178, section 3.
func proves(state *tls.ConnectionState, roots *x509.CertPool, p pair) error {
	if state == nil {
		return errors.New("no TLS")
	}
	// One certificate serves a server at both ends of its streams, and many CAs
	// make such as are for one end only.
	chains, err := certs.VerifyPeer(&tls.Config{ClientCAs: roots}, p.local, *state, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return err
	}
	if !certs.ServesDomain(chains[0][0], p.remote) {
		return fmt.Errorf("certificate is not for %q", p.remote)
	}
	return nil
}
