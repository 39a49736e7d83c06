package sasl

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// Names of channel bindings. tls-unique is not offered: TLS 1.3 has none.
const (
	TLSExporter       = "tls-exporter"         // RFC 9266
	TLSServerEndPoint = "tls-server-end-point" // RFC 5929, section 4
)

// Binding is what one type of channel binding gives for a connection.
type Binding struct {
	Type string
	Data []byte
}

// Bindings returns the channel bindings of a TLS connection that ends in this
// process, the strongest first. leaf is the certificate that this side showed,
// DER; nil when it is not known. The result is empty for a nil state.
//
// tls-exporter is left to TLS 1.3: below, it is safe only with the extended
// master secret, which crypto/tls does not report (RFC 9266, section 3).
// A certificate whose signature has no hash function of its own, such as
// Ed25519, has no tls-server-end-point (RFC 5929, section 4.1).
func Bindings(cs *tls.ConnectionState, leaf []byte) ([]Binding, error) {
	if cs == nil {
		return nil, nil
	}
	var list []Binding
	if cs.Version >= tls.VersionTLS13 {
		data, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			return nil, fmt.Errorf("channel binding %s: %w", TLSExporter, err)
		}
		list = append(list, Binding{TLSExporter, data})
	}
	if leaf == nil {
		return list, nil
	}
	cert, err := x509.ParseCertificate(leaf)
	if err != nil {
		return list, fmt.Errorf("channel binding %s: %w", TLSServerEndPoint, err)
	}
	if hash := endPointHash(cert.SignatureAlgorithm); hash != 0 {
		h := hash.New()
		h.Write(leaf)
		list = append(list, Binding{TLSServerEndPoint, h.Sum(nil)})
	}
	return list, nil
}

// endPointHash returns the hash of a signature algorithm, SHA-256 in place of
// MD5 and SHA-1, 0 when there is none.
func endPointHash(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		return crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		return crypto.SHA512
	}
	return 0
}
