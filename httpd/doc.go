// Package httpd is the HTTP listener: ejabberd_http, with its virtual hosts, request
// handlers and trusted proxies, on net/http. What it serves are handlers (http.Handler)
// of the packages below it, and those of the program around it.
package httpd
