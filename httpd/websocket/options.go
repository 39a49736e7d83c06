package websocket

import "time"

// Options are the same for all paths at which clients come. They are data: they can be
// printed, compared and read again from a file. The names in the tags are those of
// ejabberd's top level. Start from Defaults.
type Options struct {
	// Origin are the sites whose pages may connect, such as https://chat.example.com; an
	// element may have several of them, separated by spaces. Requests that no page makes
	// have none and are let in. None, and "ignore" alone: all may. Default: none.
	Origin []string `conf:"websocket_origin,top"`

	// PingInterval is how long a client may be silent until it is asked whether it is
	// there; if it does not answer within the same time it is not. 0: never. Default:
	// 60 s.
	PingInterval time.Duration `conf:"websocket_ping_interval,top,min=0"`

	// Timeout is how long nothing may come from a client, answers to pings included.
	// Default: 5 min.
	Timeout time.Duration `conf:"websocket_timeout,top"`

	// Compression lets clients have messages compressed (RFC 7692: permessage-deflate),
	// each by itself, so that nothing is kept for a connection. What a client sends may
	// be no larger decompressed than otherwise. An extension. Default: false.
	Compression bool `conf:"websocket_compression,top"`
}

// Defaults returns the options of a configuration that sets none.
func Defaults() Options {
	return Options{PingInterval: time.Minute, Timeout: 5 * time.Minute}
}
