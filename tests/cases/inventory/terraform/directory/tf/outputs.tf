output "roll_hosts" {
  value = []
}
