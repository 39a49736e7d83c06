// Package hostmeta tells clients where the BOSH and WebSocket services of a virtual host
// are (XEP-0156): mod_host_meta, a request handler of package httpd and of any program's
// own mux. Clients look for it at https://DOMAIN/.well-known/host-meta, or
// host-meta.json there, and mount it at /.well-known. The end of the path says which of
// the two a request wants, so that other paths do as well.
package hostmeta
