module h2c

go 1.24
