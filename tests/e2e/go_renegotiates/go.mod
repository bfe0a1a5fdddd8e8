module renegotiates

go 1.18
