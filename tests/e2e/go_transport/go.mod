module transport

go 1.20
