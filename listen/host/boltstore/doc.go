// Package boltstore keeps what a host stores of its users in one file: a durable
// implementation of host.AccountStore and of the stores of the features, on
// bbolt.
//
// What a method has reported as done survives a crash of the process and of the
// machine. Changes that come at the same time share a transaction: while one is
// committed, the next gathers, so that very many changes cost few waits for the
// disk. Readers wait for nobody.
//
// The file has mode 0600. Copy it with Backup or BackupFile while the store is
// open, or as any other file when it is not. Check reads a whole file and says
// what is wrong with it. After a time with very many messages the file has much
// free space, which is used again; it never gets smaller.
//
// # Layout
//
// The file has these buckets, which the code calls tables. USER is a bare
// address in its canonical form, 0 a byte that no address has, and numbers are
// of eight bytes, the highest first.
//
//	meta      "format"        "tidewaiter store"
//	          "schema"        version of this layout, four bytes: 3
//	          "created"       seconds since 1970
//	          "secret"        32 random bytes
//	          "count "TABLE   number of records in a table
//	          "roster gone"   version of the last roster that was forgotten
//	accounts  DOMAIN 0 LOCAL  account
//	roster    USER 0          header: versions and number of items
//	          USER 0 CONTACT  item
//	offline   USER 0          header: number and bytes of the messages
//	          USER 0 NUMBER   message as XML
//	private   USER 0          header: number and bytes of the elements
//	          USER 0 NAME     element as XML; the name is the length of the
//	                          namespace, the namespace and the local name, or,
//	                          beyond 1,024 bytes, 255 and the SHA-256 of that
//	last      USER            time and status
//	vcard     USER            vCard as XML
//	blocking  USER            revision and addresses
//	grants    ID              what a user has let a client do, with hashes of its
//	                          tokens; the ID is 16 random bytes
//	own grants
//	          USER 0 ID       nothing: that the grant is the user's
//	clients   ID              OAuth client; the ID is a text
//
// Values begin with the number of their format, which is 1; then come unsigned
// integers as varints, and texts after their length. Those of meta have neither.
// A header is removed with the last record that it counts, but that of a roster
// with the roster.
//
// Revisions of accounts, of block lists and of grants, versions of rosters and numbers of
// messages come from the sequence of their bucket: none is ever used twice,
// whatever was deleted meanwhile.
//
// In version 1 of the layout the headers of messages had 0 in place of the bytes.
// Open counts them once. Version 2 had no grants and no clients.
package boltstore
