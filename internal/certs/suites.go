package certs

import "crypto/tls"

// suite is a cipher suite of TLS 1.2 in crypto/tls, with what OpenSSL's cipher
// lists ask about it.
type suite struct {
	id       uint16
	openssl  string
	kx       string // key exchange
	auth     string
	enc      string
	mac      string // AEAD for those that have none
	since    string // protocol version that introduced it
	insecure bool   // by the judgement of crypto/tls
}

// suites is in the order in which crypto/tls prefers them.
var suites = []suite{
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE", "ECDSA", "AES128GCM", "AEAD", "TLSv1.2", false},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE", "RSA", "AES128GCM", "AEAD", "TLSv1.2", false},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE", "ECDSA", "AES256GCM", "AEAD", "TLSv1.2", false},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE", "RSA", "AES256GCM", "AEAD", "TLSv1.2", false},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE", "ECDSA", "CHACHA20", "AEAD", "TLSv1.2", false},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE", "RSA", "CHACHA20", "AEAD", "TLSv1.2", false},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES128-SHA", "ECDHE", "ECDSA", "AES128", "SHA1", "TLSv1.0", false},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES128-SHA", "ECDHE", "RSA", "AES128", "SHA1", "TLSv1.0", false},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA", "ECDHE", "ECDSA", "AES256", "SHA1", "TLSv1.0", false},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA", "ECDHE", "RSA", "AES256", "SHA1", "TLSv1.0", false},

	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, "ECDHE-ECDSA-AES128-SHA256", "ECDHE", "ECDSA", "AES128", "SHA256", "TLSv1.2", true},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, "ECDHE-RSA-AES128-SHA256", "ECDHE", "RSA", "AES128", "SHA256", "TLSv1.2", true},
	{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, "ECDHE-RSA-DES-CBC3-SHA", "ECDHE", "RSA", "3DES", "SHA1", "TLSv1.0", true},
	{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, "ECDHE-ECDSA-RC4-SHA", "ECDHE", "ECDSA", "RC4", "SHA1", "TLSv1.0", true},
	{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA, "ECDHE-RSA-RC4-SHA", "ECDHE", "RSA", "RC4", "SHA1", "TLSv1.0", true},
	{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, "AES128-GCM-SHA256", "RSA", "RSA", "AES128GCM", "AEAD", "TLSv1.2", true},
	{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "AES256-GCM-SHA384", "RSA", "RSA", "AES256GCM", "AEAD", "TLSv1.2", true},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA256, "AES128-SHA256", "RSA", "RSA", "AES128", "SHA256", "TLSv1.2", true},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA, "AES128-SHA", "RSA", "RSA", "AES128", "SHA1", "SSLv3", true},
	{tls.TLS_RSA_WITH_AES_256_CBC_SHA, "AES256-SHA", "RSA", "RSA", "AES256", "SHA1", "SSLv3", true},
	{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, "DES-CBC3-SHA", "RSA", "RSA", "3DES", "SHA1", "SSLv3", true},
	{tls.TLS_RSA_WITH_RC4_128_SHA, "RC4-SHA", "RSA", "RSA", "RC4", "SHA1", "SSLv3", true},
}

// class returns the test for a word that stands for many suites, by the
// meaning that it has in OpenSSL (openssl-ciphers(1)).
func class(word string) (func(suite) bool, bool) {
	switch word {
	case "ALL", "DEFAULT":
		return func(suite) bool { return true }, true
	case "HIGH":
		return func(s suite) bool { return s.enc != "3DES" && s.enc != "RC4" }, true
	case "MEDIUM":
		return func(s suite) bool { return s.enc == "3DES" || s.enc == "RC4" }, true
	case "ECDHE", "EECDH", "kECDHE", "kEECDH", "ECDH":
		return func(s suite) bool { return s.kx == "ECDHE" }, true
	case "RSA", "kRSA":
		return func(s suite) bool { return s.kx == "RSA" }, true
	case "aRSA":
		return func(s suite) bool { return s.auth == "RSA" }, true
	case "ECDSA", "aECDSA":
		return func(s suite) bool { return s.auth == "ECDSA" }, true
	case "AES":
		return func(s suite) bool { return encIs(s, "AES128", "AES128GCM", "AES256", "AES256GCM") }, true
	case "AES128":
		return func(s suite) bool { return encIs(s, "AES128", "AES128GCM") }, true
	case "AES256":
		return func(s suite) bool { return encIs(s, "AES256", "AES256GCM") }, true
	case "AESGCM":
		return func(s suite) bool { return encIs(s, "AES128GCM", "AES256GCM") }, true
	case "CBC":
		return func(s suite) bool { return encIs(s, "AES128", "AES256", "3DES") }, true
	case "CHACHA20", "3DES", "RC4":
		return func(s suite) bool { return s.enc == word }, true
	case "SHA", "SHA1":
		return func(s suite) bool { return s.mac == "SHA1" }, true
	case "SHA256":
		return func(s suite) bool { return s.mac == "SHA256" }, true
	case "SSLv3", "TLSv1.2":
		return func(s suite) bool { return s.since == word }, true
	case "TLSv1", "TLSv1.0":
		return func(s suite) bool { return s.since == "TLSv1.0" }, true
	}
	return func(suite) bool { return false }, absent[word]
}

func encIs(s suite, names ...string) bool {
	for _, n := range names {
		if s.enc == n {
			return true
		}
	}
	return false
}

// absent are the words of OpenSSL for what crypto/tls does not have.
var absent = map[string]bool{
	"COMPLEMENTOFALL": true, "COMPLEMENTOFDEFAULT": true,
	"LOW": true, "EXP": true, "EXPORT": true, "EXPORT40": true, "EXPORT56": true,
	"aNULL": true, "eNULL": true, "NULL": true, "MD5": true, "SHA384": true,
	"DH": true, "DHE": true, "EDH": true, "kDHE": true, "kEDH": true, "ADH": true, "AECDH": true,
	"kDH": true, "kDHr": true, "kDHd": true, "aDH": true, "kECDH": true, "kECDHr": true, "kECDHe": true, "aECDH": true,
	"DSS": true, "aDSS": true, "DES": true, "RC2": true, "IDEA": true, "SEED": true,
	"AESCCM": true, "AESCCM8": true, "ARIA": true, "ARIA128": true, "ARIA256": true, "ARIAGCM": true,
	"CAMELLIA": true, "CAMELLIA128": true, "CAMELLIA256": true,
	"PSK": true, "kPSK": true, "aPSK": true, "kDHEPSK": true, "kECDHEPSK": true, "kRSAPSK": true,
	"SRP": true, "kSRP": true, "aSRP": true, "KRB5": true, "kKRB5": true, "aKRB5": true, "FZA": true,
	"GOST": true, "kGOST": true, "aGOST": true, "aGOST01": true, "aGOST94": true, "GOST94": true, "GOST89MAC": true, "SSLv2": true,
}
