// Package last tells when an account was last there (XEP-0012), and since when
// the server runs.
package last
