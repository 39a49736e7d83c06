package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile is the size, in bytes, over which a file is refused. The bundle of
// all public CAs has a quarter of a megabyte.
const maxFile = 4 << 20

// readFile reads a regular file of at most maxFile bytes. open reports whether
// every user of the system may read it.
func readFile(path string) (data []byte, open bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, pathless(err)
	}
	if !info.Mode().IsRegular() {
		return nil, false, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, pathless(err)
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, false, pathless(err)
	}
	if len(data) > maxFile {
		return nil, false, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return data, info.Mode().Perm()&0o004 != 0, nil
}

// pemFile is what a PEM file holds, in its order.
type pemFile struct {
	certs    []*x509.Certificate
	keys     []crypto.Signer
	errs     []error
	warnings []error
}

var pemBegin = []byte("-----BEGIN ")

// parsePEM reads certificates and private keys. Text between the blocks is
// skipped, as are the parameters that OpenSSL puts beside keys.
func parsePEM(data []byte) *pemFile {
	f := &pemFile{}
	blocks := 0
	for rest := data; ; blocks++ {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		f.add(b)
	}
	if n := begins(data); n > blocks {
		f.errs = append(f.errs, fmt.Errorf("%d of %d PEM blocks cannot be read", n-blocks, n))
	}
	if len(f.certs) == 0 && len(f.keys) == 0 && len(f.errs) == 0 {
		hint := ""
		if len(data) > 0 && data[0] == 0x30 { // an ASN.1 sequence
			hint = "; if it is DER, convert it with openssl x509 -inform der"
		}
		f.errs = append(f.errs, fmt.Errorf("no PEM certificate or private key in it%s", hint))
	}
	return f
}

// begins counts the lines that begin a PEM block.
func begins(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, pemBegin) {
			n++
		}
	}
	return n
}

func (f *pemFile) add(b *pem.Block) {
	switch b.Type {
	case "CERTIFICATE", "X509 CERTIFICATE":
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			f.errs = append(f.errs, fmt.Errorf("certificate cannot be read: %w", err))
			return
		}
		f.certs = append(f.certs, c)
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "DSA PRIVATE KEY":
		k, err := parseKey(b)
		if err != nil {
			f.errs = append(f.errs, err)
			return
		}
		f.keys = append(f.keys, k)
	case "EC PARAMETERS", "DH PARAMETERS":
	default:
		f.warnings = append(f.warnings, fmt.Errorf("PEM block %q ignored", b.Type))
	}
}

// parseKey reads the private key of a block: PKCS #8, PKCS #1 or SEC 1.
func parseKey(b *pem.Block) (crypto.Signer, error) {
	if b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, errors.New("private key is encrypted; decrypt it with openssl pkey")
	}
	var key any
	var err error
	switch b.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	case "DSA PRIVATE KEY":
		return nil, errUnsupportedKey
	default:
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("private key cannot be read: %w", err)
	}
	if _, ok := key.(*ecdh.PrivateKey); ok {
		return nil, errUnsupportedKey
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errUnsupportedKey
	}
	return signer, nil
}
