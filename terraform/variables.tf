# What differs from one installation to the next. Nothing secret has a default.

variable "name" {
  description = "The name of the application; every resource is called after it."
  type        = string
  default     = "palindrome"

  validation {
    condition     = length(var.name) <= 20 && can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name))
    error_message = "A name is up to 20 lower-case letters, digits and single hyphens, begins with a letter and does not end with a hyphen."
  }
}

variable "region" {
  description = "The region to build in."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region looks like eu-central-1."
  }
}

# Network

variable "vpc_cidr" {
  description = "The address range of the network; four subnets are cut from it."
  type        = string
  default     = "10.20.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 8, 11)) && can(cidrhost(var.vpc_cidr, 0))
    error_message = "The range must be an IPv4 CIDR block with room for subnets, such as 10.20.0.0/16."
  }
}

variable "ssh_cidrs" {
  description = "From where SSH to the hosts is let in: where `roll` is run from."
  type        = list(string)

  validation {
    condition     = length(var.ssh_cidrs) > 0 && alltrue([for cidr in var.ssh_cidrs : can(cidrhost(cidr, 0))])
    error_message = "At least one CIDR block is needed, such as 198.51.100.7/32."
  }

  validation {
    condition     = !contains(var.ssh_cidrs, "0.0.0.0/0")
    error_message = "SSH is not opened to the whole internet."
  }
}

variable "web_cidrs" {
  description = "From where the application is let in."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.web_cidrs) > 0 && alltrue([for cidr in var.web_cidrs : can(cidrhost(cidr, 0))])
    error_message = "At least one CIDR block is needed."
  }
}

# Hosts

variable "host_count" {
  description = "How many hosts run the application; they are spread over the zones."
  type        = number
  default     = 2

  validation {
    condition     = var.host_count >= 2 && floor(var.host_count) == var.host_count
    error_message = "A rollout that takes one host out at a time needs at least two."
  }
}

variable "instance_type" {
  description = "The instance type of the hosts; its architecture must be that of the image."
  type        = string
  default     = "t3.small"
}

variable "image_parameter" {
  description = "The public SSM parameter that names the hosts' machine image: Debian 12 unless told otherwise."
  type        = string
  default     = "/aws/service/debian/release/12/latest/amd64"

  validation {
    condition     = startswith(var.image_parameter, "/aws/service/")
    error_message = "A public parameter begins with /aws/service/."
  }
}

variable "disk_gib" {
  description = "The size of each host's disk; images of several releases live on it."
  type        = number
  default     = 20

  validation {
    condition     = var.disk_gib >= 10
    error_message = "Docker and a few releases need at least 10 GiB."
  }
}

variable "login_user" {
  description = "The user that `roll` logs in as; it may use sudo without a password."
  type        = string
  default     = "deploy"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_-]{0,31}$", var.login_user)) && var.login_user != "root"
    error_message = "A login user is an ordinary user name, not root."
  }
}

variable "login_public_key" {
  description = "The public SSH key of that user."
  type        = string

  validation {
    condition     = can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp[0-9]+|sk-ssh-ed25519@openssh.com|sk-ecdsa-sha2-nistp256@openssh.com) AAAA", var.login_public_key))
    error_message = "A public key is one line, as in ~/.ssh/id_ed25519.pub."
  }
}

variable "registry_mirrors" {
  description = "Mirrors that the hosts' Docker asks before the public registry."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for mirror in var.registry_mirrors : can(regex("^https?://", mirror))])
    error_message = "A mirror is a URL."
  }
}

# Load balancer

variable "app_port" {
  description = "The port on which the application listens on each host."
  type        = number
  default     = 5000

  validation {
    condition     = var.app_port >= 1024 && var.app_port <= 65535
    error_message = "A port is between 1024 and 65535."
  }
}

variable "certificate_arn" {
  description = "A certificate of ACM. With it the application is served over HTTPS and plain HTTP is redirected; without it over HTTP."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:aws[a-z-]*:acm:", var.certificate_arn))
    error_message = "The ARN of a certificate begins with arn:aws:acm:."
  }
}

variable "domain_name" {
  description = "The name in that certificate under which the application is reached; its DNS record points to `load_balancer_name`."
  type        = string
  default     = null

  validation {
    condition     = (var.domain_name == null) == (var.certificate_arn == null)
    error_message = "A certificate and the name in it go together."
  }
}

variable "closed_paths" {
  description = "Paths that are answered 403 from outside: the deployment's own endpoints and the rehearsal's."
  type        = list(string)
  default     = ["/deploy", "/deploy/*", "/slow"]

  validation {
    condition     = length(var.closed_paths) >= 1 && length(var.closed_paths) <= 5
    error_message = "One listener rule takes one to five paths."
  }
}

variable "request_seconds_max" {
  description = "How long a request may take. The deregistration delay and the grace of a stopping container follow from it."
  type        = number
  default     = 30

  validation {
    condition     = var.request_seconds_max >= 1 && var.request_seconds_max <= 60
    error_message = "Between 1 and 60 seconds: the application keeps idle connections for 75, which must stay the longest of all."
  }
}

# Redis

variable "redis_node_type" {
  description = "The node type of Redis."
  type        = string
  default     = "cache.t4g.micro"
}

variable "redis_password" {
  description = "The password of Redis."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^[!&#$^<>A-Za-z0-9-]{16,128}$", var.redis_password))
    error_message = "ElastiCache wants 16 to 128 letters, digits and any of ! & # $ ^ < > -."
  }
}

# PostgreSQL

variable "database_instance_class" {
  description = "The instance class of PostgreSQL."
  type        = string
  default     = "db.t4g.micro"
}

variable "database_disk_gib" {
  description = "The size of PostgreSQL's disk."
  type        = number
  default     = 20

  validation {
    condition     = var.database_disk_gib >= 20
    error_message = "RDS begins at 20 GiB."
  }
}

variable "database_multi_az" {
  description = "Whether PostgreSQL has a standby in the other zone."
  type        = bool
  default     = true
}

variable "database_protected" {
  description = "Whether PostgreSQL is protected from deletion."
  type        = bool
  default     = true
}

variable "database_name" {
  description = "The application's database; the playbook creates it."
  type        = string
  default     = "palindrome"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.database_name)) && var.database_name != "postgres"
    error_message = "A database name is lower-case letters, digits and underscores, and not `postgres`."
  }
}

variable "database_admin_user" {
  description = "The user that creates the database and migrates it."
  type        = string
  default     = "postgres"
}

variable "database_admin_password" {
  description = "Its password."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^[!#-.0-?A-~]{12,128}$", var.database_admin_password))
    error_message = "RDS wants 12 to 128 printable characters without / @ \" and space."
  }
}

variable "database_user" {
  description = "The user with which the application writes."
  type        = string
  default     = "palindrome"
}

variable "database_password" {
  description = "Its password."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^[!-~]{12,128}$", var.database_password))
    error_message = "12 to 128 printable characters without spaces."
  }
}

variable "database_reader_user" {
  description = "The read-only user of the page that lists what was stored."
  type        = string
  default     = "palindrome_reader"
}

variable "database_reader_password" {
  description = "Its password."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^[!-~]{12,128}$", var.database_reader_password))
    error_message = "12 to 128 printable characters without spaces."
  }
}
