// A net/http server that writes down the bytes it read, one line of JSON per request: recorder PORT LOG. With
// CERTIFICATE KEY behind them it speaks TLS.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

type tee struct {
	net.Conn
	mutex sync.Mutex
	kept  []byte
}

func (t *tee) Read(into []byte) (int, error) {
	count, err := t.Conn.Read(into)
	t.mutex.Lock()
	t.kept = append(t.kept, into[:count]...)
	t.mutex.Unlock()
	return count, err
}

func (t *tee) take() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	text := string(t.kept)
	t.kept = nil
	return text
}

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &tee{Conn: conn}, err
}

type key struct{}

func main() {
	log, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	socket, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	server := http.Server{
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, key{}, conn)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			raw := r.Context().Value(key{}).(*tee).take()
			head, _, _ := strings.Cut(raw, "\r\n\r\n")
			status := 200
			if strings.HasPrefix(r.URL.Path, "/missing") {
				status = 404
			}
			json.NewEncoder(log).Encode(map[string]any{"raw": head + "\r\n\r\n", "status": status})
			w.Header().Set("X-Served-By", "net/http")
			w.WriteHeader(status)
			io.WriteString(w, "ok\n")
		}),
	}
	if len(os.Args) > 3 {
		certificate, err := tls.LoadX509KeyPair(os.Args[3], os.Args[4])
		if err != nil {
			panic(err)
		}
		socket = tls.NewListener(socket, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	panic(server.Serve(listener{socket}))
}
