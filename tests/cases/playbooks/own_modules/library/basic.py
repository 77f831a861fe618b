from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(
        argument_spec=dict(name=dict(required=True), size=dict(type='int', default=1)),
        supports_check_mode=True,
    )
    code, out, err = module.run_command(['echo', module.params['name']], check_rc=True)
    module.exit_json(changed=False, out=out.strip(), size=module.params['size'])


if __name__ == '__main__':
    main()
