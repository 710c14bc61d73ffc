module authproxypage

go 1.22
