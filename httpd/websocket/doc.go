// Package websocket lets XMPP clients come by WebSocket (RFC 7395): ejabberd_http_ws.
// Its Handler takes over the connections of its requests and makes of each a stream
// (stanza.Transport) for whoever serves clients, which is c2s as a rule.
//
// There is no channel binding and no STARTTLS: TLS, if any, is that of HTTP.
//
// A session that is kicked (stanza.Sink) with see-other-host, and a URI for its text, is
// told to go there by <close see-other-uri='…'/> in place of a stream error.
package websocket
