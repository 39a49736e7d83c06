package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"
)

// selfSignedLife is how long a certificate of SelfSigned is valid. Apple's
// systems refuse server certificates that are valid for more than 825 days,
// whoever signed them.
const selfSignedLife = 820 * 24 * time.Hour

// SelfSigned makes a certificate for domains (A-labels, U-labels, wildcards)
// and IP addresses, signed with its own key: ECDSA P-256, valid from an hour
// ago for 820 days. Clients trust it if it is put among their CAs.
func SelfSigned(hosts []string) (certPEM, keyPEM []byte, err error) {
	if len(hosts) == 0 {
		return nil, nil, errors.New("a certificate needs at least one host")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template, err := selfSignedTemplate(hosts, &key.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return certPEM, keyPEM, nil
}

func selfSignedTemplate(hosts []string, pub *ecdsa.PublicKey) (*x509.Certificate, error) {
	// 127 bits: positive, and within the 20 bytes of RFC 5280, section 4.1.2.2.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	serial.Add(serial, big.NewInt(1))
	raw, err := pub.Bytes()
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(raw)
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	t := &x509.Certificate{
		SerialNumber:          serial,
		NotBefore:             start,
		NotAfter:              start.Add(selfSignedLife),
		SubjectKeyId:          id[:20],
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if h = asciiName(h); h == "" {
			return nil, errors.New("empty host name")
		}
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	t.Subject = pkix.Name{Organization: []string{"self-signed by Tidewaiter"}}
	if name := asciiName(hosts[0]); len(name) <= 64 { // ub-common-name of RFC 5280
		t.Subject.CommonName = name
	}
	return t, nil
}
