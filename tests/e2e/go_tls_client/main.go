// A client of TLS that writes and reads on stacks that must grow for it, with buffers on them: client PORT COUNT. It
// waits for a line on its standard input before each connection, and ends with the input.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"strconv"
)

// Goes down by this many frames, each of which holds some of the stack, and calls there.
//
//go:noinline
func below(depth int, call func()) byte {
	var frame [96]byte
	frame[depth%len(frame)] = byte(depth)
	if depth == 0 {
		call()
	} else {
		frame[0] += below(depth-1, call)
	}
	return frame[depth%len(frame)]
}

//go:noinline
func ask(conn *tls.Conn, path string) {
	var request [512]byte
	text := append(request[:0], "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nX-Path: "+path+"\r\n\r\n"...)
	if _, err := conn.Write(text); err != nil {
		panic(err)
	}
}

//go:noinline
func answer(conn *tls.Conn) {
	var buffer [1024]byte
	count := 0
	for !bytes.Contains(buffer[:count], []byte("\r\n\r\nok\n")) {
		more, err := conn.Read(buffer[count:])
		if err != nil {
			panic(err)
		}
		count += more
	}
}

func main() {
	count, _ := strconv.Atoi(os.Args[2])
	lines := bufio.NewScanner(os.Stdin)
	for connection := 0; lines.Scan(); connection++ {
		conn, err := tls.Dial("tcp4", "127.0.0.1:"+os.Args[1], &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			panic(err)
		}
		done := make(chan struct{})
		for number := 0; number < count; number++ {
			call := number
			path := fmt.Sprintf("/orders/%d-%d", connection, call)
			// A new goroutine each: its stack is small.
			go func() {
				below(call*7%400, func() { ask(conn, path) })
				done <- struct{}{}
			}()
			<-done
			go func() {
				below(call*11%400, func() { answer(conn) })
				done <- struct{}{}
			}()
			<-done
		}
		conn.Close()
		fmt.Println("done", connection)
	}
}
