from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.words import loud
from ansible.module_utils import words


def main():
    module = AnsibleModule(argument_spec=dict(name=dict(required=True)))
    assert words.loud is loud
    module.exit_json(changed=False, msg=loud(module.params['name']))


if __name__ == '__main__':
    main()
